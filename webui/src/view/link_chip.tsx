// SPDX-License-Identifier: Apache-2.0
// In the header: how the feed comes in, and the session with ZooKeeper in the original's words.
import type { LinkState } from '../feed/link';
import type { FeedSource } from '../feed/source';
import { session_word } from '../model/fleet';
import type { FleetSource } from '../model/fleet_source';
import { use_part } from '../observable';
import { use_clock } from '../use_media';

function link_words(link: LinkState, now_ms: number): { tone: string; text: string; title: string } {
  const wait = link.retry_at_ms === null ? 0 : Math.max(0, Math.ceil((link.retry_at_ms - now_ms) / 1000));
  const again = wait > 0 ? `tried again in ${wait} s` : 'being tried';
  switch (link.phase) {
    case 'connected':
      return { tone: 'good', text: 'Live', title: `Events come from ${link.node || 'the node'} as they happen` };
    case 'polling':
      return { tone: 'warn', text: 'Polling', title: `No WebSocket could be opened (${again}): the list is asked for each 2 s` };
    case 'connecting':
      return { tone: 'muted', text: 'Connecting', title: 'The feed is being opened' };
    case 'offline':
      return { tone: 'bad', text: 'Offline', title: `No events come in; the feed is ${again}. ${link.problem?.title ?? ''}` };
  }
}

export function LinkChip({ feed }: { feed: FeedSource }) {
  const link = use_part(feed, (state) => state.link);
  const now_ms = use_clock(link.retry_at_ms !== null);
  const { tone, text, title } = link_words(link, now_ms);
  return (
    <button type="button" class={`chip link-chip ${tone}`} title={title} onClick={() => feed.wake()} disabled={link.retry_at_ms === null}>
      <i aria-hidden="true" /><span class="wide-only">Feed</span> <span role="status">{text}</span>
    </button>
  );
}

export function ZookeeperChip({ fleet }: { fleet: FleetSource }) {
  const zookeeper = use_part(fleet, (state) => state.cluster?.zookeeper);
  const { tone, text } = session_word(zookeeper?.state);
  if (zookeeper?.embedded) {
    return <span class="chip muted" title="Started without --zookeeper: a fleet of one, its store is in this node's memory"><i aria-hidden="true" />Fleet of one</span>;
  }
  return (
    <span class={`chip ${tone}`} title={zookeeper?.trouble ?? ''}>
      <i aria-hidden="true" /><span class="wide-only">ZooKeeper Connection:</span><span class="narrow-only">ZK</span> <span role="status">{text}</span>
    </span>
  );
}
