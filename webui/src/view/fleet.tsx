// SPDX-License-Identifier: Apache-2.0
// The nodes as cards, what the fleet agrees on, who holds which images, and what happened lately.
import { useEffect, useState } from 'preact/hooks';
import { get_json } from '../api';
import { one_line, tone_of, type FeedEvent } from '../feed/event';
import type { FeedSource } from '../feed/source';
import { holdings, known_of, member_session, type Cluster } from '../model/fleet';
import type { FleetSource, FleetState } from '../model/fleet_source';
import type { Dataset, DatasetList, Job, JobList } from '../model/jobs';
import { use_part } from '../observable';
import { bytes_text, clock_text, number_text, took_text } from '../text';
import { event_hash } from '../route';
import { use_clock } from '../use_media';
import { Empty, ProblemLine } from './bits';
import { NodeCard } from './node_card';

function Agreement({ cluster }: { cluster: Cluster }) {
  const { zookeeper, leader, members, counts } = cluster;
  const now_ms = use_clock(true);
  const since_ms = Date.parse(zookeeper?.since ?? '');
  const facts: Array<[string, string]> = [
    ['Leader', leader?.name ?? 'none'], ['Epoch', number_text(leader?.epoch)], ['Members', `${members?.length ?? 0} of at least ${cluster.min_nodes ?? 1}`],
    ['State', zookeeper?.state ?? '–'], ['For', Number.isNaN(since_ms) ? '–' : took_text(Math.max(0, now_ms - since_ms))],
    ['Session id', zookeeper?.session_id ?? '–'], ['Timeout', zookeeper?.session_timeout_ms === undefined ? '–' : took_text(zookeeper.session_timeout_ms)],
    ['Elections won', number_text(counts?.elections_won)], ['Suspensions', number_text(counts?.suspensions)], ['Sessions lost', number_text(counts?.session_losses)],
  ];
  return (
    <section class="panel agreement" aria-label="Agreement">
      <h3>ZooKeeper</h3>
      <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      <p class="servers">{zookeeper?.embedded ? 'Without servers: a fleet of one.' : (zookeeper?.servers ?? []).map((server) => <code key={server}>{server}</code>)}</p>
      {(cluster.intruders ?? []).map((intruder) => <p key={intruder} class="problem-line">{one_line(intruder)}</p>)}
    </section>
  );
}

function Incidents({ events }: { events: readonly FeedEvent[] }) {
  const latest = events.slice(-9).reverse();
  return (
    <section class="panel incidents" aria-label="Lately">
      <h3>Lately</h3>
      {latest.length === 0 && <p class="help">No elections, lost sessions or blocked intrusions since the feed began.</p>}
      <ul>
        {latest.map((event) => (
          <li key={event.key} class={`tone-${tone_of(event)}`}>
            <span class="event-time">{clock_text(event.time_ms).slice(0, 8)}</span>
            <a href={event_hash(event)}>{event.replay && <em class="replay">replay</em>}<bdi>{one_line(event.message, 200)}</bdi></a>
          </li>
        ))}
      </ul>
    </section>
  );
}

const k_lists_poll_ms = 5_000;

interface Lists {
  datasets: readonly Dataset[] | null;  // null: not told yet
  jobs: readonly Job[];
}

function use_lists(token: string, active: boolean): Lists {
  const [lists, set_lists] = useState<Lists>({ datasets: null, jobs: [] });
  useEffect(() => {
    if (!active) return;
    const ask = async () => {
      const [datasets, jobs] = await Promise.all([
        get_json<DatasetList>('/v1/datasets?limit=20', token), get_json<JobList>('/v1/jobs?limit=200', token),
      ]);
      set_lists((now) => ({
        datasets: datasets.ok ? (datasets.value.datasets ?? []) : now.datasets, jobs: jobs.ok ? (jobs.value.jobs ?? []) : now.jobs,
      }));
    };
    void ask();
    const timer = setInterval(() => void ask(), k_lists_poll_ms);
    return () => clearInterval(timer);
  }, [active]);
  return lists;
}

function Holdings({ datasets }: { datasets: readonly Dataset[] | null }) {
  const { nodes, rows } = holdings(datasets ?? []);
  return (
    <section class="panel holdings" aria-label="Who holds what">
      <h3>Who holds which images</h3>
      {rows.length === 0 ? <p class="help">{datasets === null ? 'Asking …' : 'There are no datasets. Make one: histoctl dataset create NAME.'}</p> : (
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Images of each dataset by node">
          <table>
            <thead><tr><th scope="col">Dataset</th>{nodes.map((node) => <th key={node} scope="col">{node}</th>)}<th scope="col">All</th></tr></thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.id}>
                  <th scope="row"><bdi>{one_line(row.dataset, 80)}</bdi></th>
                  {nodes.map((node) => {
                    const part = row.parts.find((one) => one.node === node);
                    const share = row.total > 0 ? (part?.images ?? 0) / row.total : 0;
                    return (
                      <td key={node} title={part ? bytes_text(part.bytes) : ''}>
                        {part?.reachable ? <><i class="share" aria-hidden="true" style={{ width: `${100 * share}%` }} /><span>{number_text(part.images)}</span></> : <span class="muted">no answer</span>}
                      </td>
                    );
                  })}
                  <td>{number_text(row.total)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

interface Props {
  feed: FeedSource;
  fleet: FleetSource;
  token: string;
  active: boolean;
}

const whole = (state: FleetState) => state;

export function Fleet({ feed, fleet, token, active }: Props) {
  const state = use_part(fleet, whole, active);
  const told = use_part(feed, (one) => one.feed, active);
  const { datasets, jobs } = use_lists(token, active);
  const now_ms = use_clock(active);
  const { cluster, reports, problem } = state;
  if (!cluster) {
    return (
      <div class="view view-fleet">
        {problem ? <ProblemLine problem={problem} /> : <div class="panel"><Empty title="Asking the node">The fleet is shown as soon as the node answers.</Empty></div>}
      </div>
    );
  }
  return (
    <div class="view view-fleet">
      <h2 class="off-screen">Fleet</h2>
      {problem && <ProblemLine problem={problem} />}
      <div class="cards">
        {(cluster.members ?? []).map((member) => (
          <NodeCard key={member.name} member={member} session={member_session(member, cluster, told.zookeeper)}
            known={known_of(member.name, jobs, datasets ?? [], told)} now_ms={now_ms} report={reports?.get(member.name)} asked={reports !== null} />
        ))}
        {(cluster.members ?? []).length === 0 && <div class="panel"><Empty title="This node is no member of its fleet">{cluster.zookeeper?.trouble || 'It joins as soon as it has a session with ZooKeeper.'}</Empty></div>}
      </div>
      <div class="fleet-more">
        <Agreement cluster={cluster} />
        <Incidents events={told.notable.events} />
        <Holdings datasets={datasets} />
      </div>
    </div>
  );
}
