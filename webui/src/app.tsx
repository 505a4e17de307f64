// SPDX-License-Identifier: Apache-2.0
import { use_session } from './use_session';
import { Header } from './view/header';
import { SignIn } from './view/sign_in';
import { Workbench } from './view/workbench';

export function App() {
  const session = use_session();
  return (
    <>
      <Header session={session} />
      {session.token ? <Workbench session={session} /> : session.restoring ? <main /> : <SignIn session={session} />}
    </>
  );
}
