// SPDX-License-Identifier: Apache-2.0
// The page of somebody who has signed in: six tabs over one feed, five where the node knows no live video.
import { useEffect, useRef, useState } from 'preact/hooks';
import { FeedSource } from '../feed/source';
import { browser_wire } from '../feed/wire';
import { FleetSource } from '../model/fleet_source';
import { StreamSource } from '../model/stream_source';
import { use_part } from '../observable';
import { k_tabs, tab_after_key, tab_hash, type Route, type Tab } from '../route';
import { use_route } from '../use_route';
import type { Session } from '../use_session';
import { Events } from './events';
import { Fleet } from './fleet';
import { Header } from './header';
import { LinkChip, ZookeeperChip } from './link_chip';
import { Live } from './live';
import { Logs } from './logs';
import { Rollout } from './rollout';
import { Workbench } from './workbench';

const k_first_route: Route = { tab: 'work', target: null };
const k_titles: Record<Tab, string> = { work: 'Work', live: 'Live', fleet: 'Fleet', rollout: 'Rollout', events: 'Events', logs: 'Logs' };

interface Sources {
  feed: FeedSource;
  fleet: FleetSource;
  streams: StreamSource;
}

// The next turn might come when a state is over again that the feed has told of.
function hurry_on_news({ feed, fleet }: Sources): () => void {
  const latest = () => feed.now().feed.notable.events.filter((event) => event.kind !== 'secops').pop();
  let known = latest();
  return feed.subscribe(() => {
    const now = latest();
    if (now !== known) fleet.hurry();
    known = now;
  });
}

function use_sources(session: Session): Sources {
  const [sources] = useState((): Sources => {
    const signed_out = () => session.sign_out('The server no longer accepts this token. Sign in again.');
    const { token } = session;
    return { feed: new FeedSource(browser_wire(token), signed_out), fleet: new FleetSource(token, signed_out), streams: new StreamSource(token, signed_out) };
  });
  useEffect(() => {
    const wake = () => document.visibilityState === 'visible' && sources.feed.wake();
    addEventListener('online', wake);
    document.addEventListener('visibilitychange', wake);
    const forget = hurry_on_news(sources);
    return () => {
      forget();
      removeEventListener('online', wake);
      document.removeEventListener('visibilitychange', wake);
      sources.feed.stop();
      sources.fleet.stop();
      sources.streams.stop();
    };
  }, []);
  return sources;
}

function Tabs({ tabs, chosen }: { tabs: readonly Tab[]; chosen: Tab }) {
  const list = useRef<HTMLDivElement>(null);
  const key_down = (event: KeyboardEvent) => {
    const next = tab_after_key(event.key, chosen, tabs);
    if (next === null || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    location.hash = tab_hash(next);
    list.current?.querySelector<HTMLElement>(`#tab-${next}`)?.focus();
  };
  return (
    <div ref={list} class="tabs" role="tablist" aria-label="Views" onKeyDown={key_down}>
      {tabs.map((tab) => (
        <a key={tab} id={`tab-${tab}`} href={tab_hash(tab)} role="tab" aria-selected={tab === chosen} aria-controls={`panel-${tab}`}
          tabIndex={tab === chosen ? 0 : -1}>{k_titles[tab]}</a>
      ))}
    </div>
  );
}

function Alert({ sources }: { sources: Sources }) {
  const cluster = use_part(sources.fleet, (state) => state.cluster);
  if (!cluster?.alert) return null;
  return (
    <div class="cluster-alert" role="alert">
      <b>Cluster alert</b><span>{cluster.alert_detail || 'The fleet is not as it should be.'}</span><a href="#fleet">Look at the fleet</a>
    </div>
  );
}

// A view stays once it was looked at, so that it keeps what was chosen in it.
function use_visited(tab: Tab): ReadonlySet<Tab> {
  const [visited] = useState(() => new Set<Tab>(['work']));
  visited.add(tab);
  return visited;
}

function view_of(tab: Tab, route: Route, sources: Sources, session: Session) {
  const active = route.tab === tab;
  switch (tab) {
    case 'work':
      return <Workbench session={session} feed={sources.feed} active={active} />;
    case 'live':
      return <Live streams={sources.streams} feed={sources.feed} token={session.token} active={active} />;
    case 'fleet':
      return <Fleet feed={sources.feed} fleet={sources.fleet} token={session.token} active={active} />;
    case 'rollout':
      return <Rollout feed={sources.feed} active={active} />;
    case 'events':
      return <Events feed={sources.feed} token={session.token} target={route.target} active={active} />;
    case 'logs':
      return <Logs feed={sources.feed} fleet={sources.fleet} active={active} />;
  }
}

// Live video has its tab where the node knows streams; until it has told, where the address asks for it.
function use_tabs(sources: Sources, wanted: Tab): readonly Tab[] {
  const there = use_part(sources.streams, (state) => state.there);
  return k_tabs.filter((tab) => tab !== 'live' || there || (there === null && wanted === 'live'));
}

export function Shell({ session }: { session: Session }) {
  const asked = use_route();
  const sources = use_sources(session);
  const tabs = use_tabs(sources, asked.tab);
  const route = tabs.includes(asked.tab) ? asked : k_first_route;
  const visited = use_visited(route.tab);
  return (
    <>
      <Header session={session} tabs={<Tabs tabs={tabs} chosen={route.tab} />}
        chips={<><ZookeeperChip fleet={sources.fleet} /><LinkChip feed={sources.feed} /></>} />
      <Alert sources={sources} />
      <main>
        {tabs.map((tab) => (
          <div key={tab} id={`panel-${tab}`} role="tabpanel" aria-labelledby={`tab-${tab}`} hidden={tab !== route.tab}>
            {visited.has(tab) && view_of(tab, route, sources, session)}
          </div>
        ))}
      </main>
    </>
  );
}
