// SPDX-License-Identifier: Apache-2.0
import type { Status } from '../model/rollout';

const k_paths: Record<Status | 'waiting', string> = {
  succeeded: 'm4.5 8.3 2.3 2.3 4.7-5', changed: 'm4.5 8.3 2.3 2.3 4.7-5', failed: 'm5.2 5.2 5.6 5.6m0-5.6-5.6 5.6', ignored: 'm5.2 5.2 5.6 5.6m0-5.6-5.6 5.6', skipped: 'M4.8 8h6.4',
  running: 'M8 4.6V8l2.4 1.5', waiting: '',
};

export function StatusIcon({ status }: { status: Status | 'waiting' }) {
  return (
    <svg class={`status-icon ${status}`} viewBox="0 0 16 16" role="img" aria-label={status}>
      <circle cx="8" cy="8" r="7" /><path d={k_paths[status]} />
    </svg>
  );
}
