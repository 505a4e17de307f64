// SPDX-License-Identifier: Apache-2.0
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { NodeState } from '../api';
import { duration_text } from '../text';
import { use_readiness, type Session } from '../use_session';

function status_of(readiness: ReturnType<typeof use_readiness>): { kind: string; label: string } {
  if (readiness === undefined) return { kind: 'unknown', label: 'Checking' };
  if (readiness === null) return { kind: 'bad', label: 'No answer' };
  if (readiness.draining) return { kind: 'warn', label: 'Draining' };
  return readiness.ready ? { kind: 'good', label: 'Ready' } : { kind: 'bad', label: 'Not ready' };
}

function facts(node: NodeState): Array<[string, string]> {
  const all: Array<[string, string | undefined]> = [
    ['Node', node.node_name],
    ['Version', node.version],
    ['I/O', node.backend],
    ['Instructions', node.isa],
    ['Workers', node.workers && String(node.workers.length)],
    ['Compute threads', node.arenas && String(node.arenas.reduce((sum, arena) => sum + (arena.threads ?? 0), 0))],
    ['Up for', node.uptime_s === undefined ? undefined : duration_text(node.uptime_s)],
  ];
  return all.filter((fact): fact is [string, string] => Boolean(fact[1]));
}

// Closes an open <details> by Escape and by a press outside of it.
function use_light_dismiss() {
  const details = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = () => details.current?.removeAttribute('open');
    const pressed = (event: PointerEvent) => !details.current?.contains(event.target as Node) && close();
    const key = (event: KeyboardEvent) => event.key === 'Escape' && close();
    document.addEventListener('pointerdown', pressed);
    document.addEventListener('keydown', key);
    return () => {
      document.removeEventListener('pointerdown', pressed);
      document.removeEventListener('keydown', key);
    };
  }, []);
  return details;
}

function NodeDetails({ node }: { node: NodeState }) {
  const details = use_light_dismiss();
  const fallbacks = node.fallbacks ?? [];
  return (
    <details ref={details} class="node">
      <summary>
        <span class="node-summary">{node.node_name || 'Node'}</span>
        {fallbacks.length > 0 && <span class="badge warn">{fallbacks.length}<span class="badge-word"> fallback{fallbacks.length > 1 ? 's' : ''}</span></span>}
      </summary>
      <div class="popover">
        <dl>{facts(node).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
        {fallbacks.length > 0 && (
          <>
            <h2>Running with fallbacks</h2>
            <ul>{fallbacks.map((fallback) => <li key={fallback.what}><b>{fallback.what}</b>: {fallback.why}</li>)}</ul>
          </>
        )}
      </div>
    </details>
  );
}

interface Props {
  session: Session;
  tabs?: ComponentChildren;
  chips?: ComponentChildren;
}

export function Header({ session, tabs, chips }: Props) {
  const { kind, label } = status_of(use_readiness());
  return (
    <header>
      <div class="bar">
        <span class="brand">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="7" class="logo-ground" />
            <path d="M7 25v-6h4v6zm7 0V9h4v16zm7 0v-11h4v11z" class="logo-bars" />
            <path d="M6 21C12 20 13 8 26 6" class="logo-curve" />
          </svg>
          <h1>histod</h1>
        </span>
        {tabs}
        <div class="states">
          {chips}
          <span class={`chip ${kind}`} role="status"><i aria-hidden="true" />{label}</span>
        </div>
        {session.node && <NodeDetails node={session.node} />}
        {session.token && <button type="button" class="quiet" onClick={() => session.sign_out()}>Sign out</button>}
      </div>
    </header>
  );
}
