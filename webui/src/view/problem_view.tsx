// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'preact/hooks';
import { is_passing, type Problem } from '../problem';

// Counts down to the moment when the server wants to be asked again.
function use_countdown(seconds: number | null): number {
  const [left, set_left] = useState(seconds ?? 0);
  useEffect(() => {
    set_left(seconds ?? 0);
    if (!seconds) return;
    const timer = setInterval(() => set_left((now) => Math.max(0, now - 1)), 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return left;
}

function Facts({ problem }: { problem: Problem }) {
  const facts: Array<[string, string]> = [['Value', problem.value], ['Limit', problem.limit]];
  const status = problem.status > 0 ? `${problem.status}${problem.code ? ` ${problem.code}` : ''}` : problem.code;
  return (
    <dl class="facts">
      {[...facts, ['Status', status] as [string, string]].filter(([, value]) => value !== '').map(([name, value]) => (
        <div key={name}><dt>{name}</dt><dd>{value}</dd></div>
      ))}
    </dl>
  );
}

export function ProblemView({ problem, on_retry }: { problem: Problem; on_retry: () => void }) {
  const left = use_countdown(problem.retry_after_s);
  return (
    <div class="problem" role="alert">
      <h2>{problem.title}</h2>
      {problem.detail && <p>{problem.detail}</p>}
      <Facts problem={problem} />
      {is_passing(problem) && (
        <button type="button" disabled={left > 0} onClick={on_retry}>{left > 0 ? `Try again in ${left} s` : 'Try again'}</button>
      )}
    </div>
  );
}
