// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef } from 'preact/hooks';
import type { Session } from '../use_session';

export function SignIn({ session }: { session: Session }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const submit = (event: Event) => {
    event.preventDefault();
    session.sign_in(field.current?.value ?? '');
  };
  return (
    <main class="sign-in">
      <form class="panel" onSubmit={submit} novalidate>
        <h2>Sign in</h2>
        <p>Images in, equalized images out: bit for bit what the library you name would give.</p>
        <label for="token">Access token</label>
        <input ref={field} id="token" type="password" autocomplete="off" spellcheck={false} autocapitalize="off"
          aria-describedby="token-help token-message" aria-invalid={session.message !== ''} />
        <p id="token-help" class="help">
          It is in the token file that the server was started with. It stays in this tab and is forgotten when the tab closes.
        </p>
        <p id="token-message" class="field-error" role="alert">{session.message}</p>
        <button type="submit" class="primary" disabled={session.checking}>{session.checking ? 'Checking …' : 'Sign in'}</button>
      </form>
    </main>
  );
}
