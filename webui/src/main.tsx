// SPDX-License-Identifier: Apache-2.0
import { render } from 'preact';
import './styles/page.css';
import { App } from './app';

const root = document.getElementById('app');
if (root) render(<App />, root);
