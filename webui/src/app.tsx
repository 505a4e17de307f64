// SPDX-License-Identifier: Apache-2.0
import { use_session } from './use_session';
import { Header } from './view/header';
import { Shell } from './view/shell';
import { SignIn } from './view/sign_in';

export function App() {
  const session = use_session();
  if (session.token) return <Shell key={session.token} session={session} />;
  return (
    <>
      <Header session={session} />
      {session.restoring ? <main /> : <SignIn session={session} />}
    </>
  );
}
