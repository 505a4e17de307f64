// SPDX-License-Identifier: Apache-2.0
// The Server-Timing header: where the server's time went.

export interface Phase {
  name: string;
  ms: number;
}

export interface Timing {
  phases: Phase[];  // in the server's order, without the total
  total_ms: number;
}

function parse_entry(entry: string): Phase | null {
  const [name = '', ...parameters] = entry.split(';').map((part) => part.trim());
  const duration = parameters.map((part) => /^dur\s*=\s*"?([0-9.]+)"?$/i.exec(part)?.[1]).find(Boolean);
  const ms = Number(duration);
  return /^[\w-]+$/.test(name) && duration !== undefined && Number.isFinite(ms) ? { name, ms } : null;
}

// Null when the header is missing or tells no time. Without `total`, the total is the sum.
export function parse_server_timing(header: string | null): Timing | null {
  if (!header) return null;
  const entries = header.split(',').map(parse_entry).filter((phase): phase is Phase => phase !== null);
  if (entries.length === 0) return null;
  const phases = entries.filter((phase) => phase.name !== 'total');
  const sum = phases.reduce((total, phase) => total + phase.ms, 0);
  return { phases, total_ms: entries.find((phase) => phase.name === 'total')?.ms ?? sum };
}

// Shares of the bar, in per cent, with what no phase accounts for as "other". They add up to 100.
export function shares({ phases, total_ms }: Timing): Array<Phase & { percent: number }> {
  const sum = phases.reduce((total, phase) => total + phase.ms, 0);
  const whole = Math.max(sum, total_ms);
  if (whole <= 0) return [];
  const rest = whole - sum;
  const all = rest > whole * 0.005 ? [...phases, { name: 'other', ms: rest }] : phases;
  const shown = all.reduce((total, phase) => total + phase.ms, 0);
  return all.map((phase) => ({ ...phase, percent: (100 * phase.ms) / shown }));
}
