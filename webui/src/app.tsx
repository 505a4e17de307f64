// SPDX-License-Identifier: Apache-2.0
import { k_samples } from './samples';

export function App() {
  return <main>{k_samples.map((sample) => <img key={sample.url} src={sample.url} alt={sample.title} />)}</main>;
}
