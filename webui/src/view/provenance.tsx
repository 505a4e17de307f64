// SPDX-License-Identifier: Apache-2.0
// Which table made the result, and where the server's time went.
import { shares, type Timing } from '../server_timing';
import { ms_text } from '../text';
import { CopyButton } from './copy_button';

// Seven colours in the order of the phases; the eighth is for what no phase accounts for.
export const color_class = (name: string, i: number) => `phase-${name === 'other' ? 7 : i % 7}`;

function TimingBar({ timing }: { timing: Timing }) {
  const parts = shares(timing);
  return (
    <>
      <div class="timing-bar" role="img" aria-label={`Server time ${ms_text(timing.total_ms)}, by phase as listed below`}>
        {parts.map((part, i) => (
          <i key={part.name} class={color_class(part.name, i)} style={{ width: `${part.percent}%` }} title={`${part.name} ${ms_text(part.ms)}`} />
        ))}
      </div>
      <ul class="phases">
        {parts.map((part, i) => (
          <li key={part.name}><i class={color_class(part.name, i)} aria-hidden="true" /><span>{part.name}</span><b>{ms_text(part.ms)}</b></li>
        ))}
      </ul>
    </>
  );
}

export function Provenance({ digest, timing }: { digest: string; timing: Timing | null }) {
  return (
    <section class="panel provenance" aria-label="Provenance">
      <div class="panel-head"><h3>Server time</h3>{timing && <b class="total">{ms_text(timing.total_ms)}</b>}</div>
      {timing ? <TimingBar timing={timing} /> : <p class="help">The server told no times.</p>}
      {timing && !timing.phases.some((phase) => phase.name === 'encode') && (
        <p class="help">Without encoding: the result was sent while it was being encoded.</p>
      )}
      <h3>Lookup table</h3>
      {digest ? (
        <div class="digest">
          <code title={`SHA-256 of the table: ${digest}`}>{digest.slice(0, 16)}…</code>
          <CopyButton text={digest} label="Copy SHA-256" />
        </div>
      ) : <p class="help">The server named no digest.</p>}
      <p class="help">Two results with the same digest were made by the same table.</p>
    </section>
  );
}
