// SPDX-License-Identifier: Apache-2.0
// Numbers for the screen.

const k_whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

// 1234567 -> 1,234,567; a fraction keeps at most `digits` places.
export function number_text(value: number | null | undefined, digits = 0): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (digits === 0) return k_whole.format(value);
  return new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export function bytes_text(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

export function ms_text(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
}

export function duration_text(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

const k_steps = [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']] as const;

// A rate with the letter of its thousand: 1.49 G, 165 k, 60
export function si_text(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const [step, letter] = k_steps.find(([least]) => value >= least) ?? [1, ''];
  const scaled = value / step;
  const digits = scaled >= 100 || Number.isInteger(scaled) ? 0 : scaled >= 10 ? 1 : 2;
  return `${number_text(scaled, digits)} ${letter}`.trim();
}

// A short time, from seconds: 850 ns, 12.3 µs, 1.20 ms
export function short_time_text(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '–';
  if (seconds === 0) return '0 µs';
  if (seconds < 1e-6) return `${Math.round(seconds * 1e9)} ns`;
  if (seconds >= 1e-3) return ms_text(1e3 * seconds);
  const us = 1e6 * seconds;
  return `${us.toFixed(us >= 100 ? 0 : us >= 10 ? 1 : 2)} µs`;
}

const two = (value: number, digits = 2) => String(value).padStart(digits, '0');

// Local time of the day to the millisecond: 14:03:09.250
export function clock_text(ms: number): string {
  const time = new Date(ms);
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${two(time.getMilliseconds(), 3)}`;
}

// Local date and time: 2026-11-22 14:03:09
export function date_text(ms: number): string {
  const time = new Date(ms);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock_text(ms).slice(0, 8)}`;
}

// How long something took: 0.6 s, 38 s, 2 min 21 s, 1 h 04 min
export function took_text(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return ms < 1000 ? `${Math.round(ms)} ms` : `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(Math.floor(seconds % 60))} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}
