// SPDX-License-Identifier: Apache-2.0
// The files that were dropped: how far each has come, and what became of it.
import { useEffect, useState } from 'preact/hooks';
import { one_line } from '../feed/event';
import type { Options } from '../options';
import { shares } from '../server_timing';
import { format_of_media_type, result_filename } from '../sniff';
import { bytes_text, ms_text, number_text } from '../text';
import { is_outdated, tally, type Item } from '../work/queue';
import type { QueueControl } from '../work/use_queue';
import { color_class } from './provenance';

function use_url(blob: Blob | null): string | null {
  const [url, set_url] = useState<string | null>(null);
  useEffect(() => {
    if (!blob) return set_url(null);
    const made = URL.createObjectURL(blob);
    set_url(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}

export interface Shown {
  busy: boolean;
  sent: number;
}

function Stages({ item }: { item: Item }) {
  if (!item.timing) return <span class="file-bar-line full" />;
  return (
    <span class="file-bar-line stages">
      {shares(item.timing).map((part, i) => <i key={part.name} class={color_class(part.name, i)} style={{ width: `${part.percent}%` }} title={`${part.name} ${ms_text(part.ms)}`} />)}
    </span>
  );
}

function Progress({ item, shown, options }: { item: Item; shown: Shown | null; options: Options }) {
  const busy = shown ? shown.busy : item.state === 'sending' || item.state === 'working';
  const sent = shown?.busy ? shown.sent : item.sent;
  if (busy && sent < 1) {
    return <><progress class="file-bar-line" max={1} value={sent} aria-label={`Upload of ${item.filename}`} /><span class="file-state">{Math.floor(100 * sent)} % of {bytes_text(item.blob.size)}</span></>;
  }
  if (busy) return <><progress class="file-bar-line" aria-label={`Work on ${item.filename}`} /><span class="file-state">working</span></>;
  if (item.state === 'failed') return <span class="file-state bad" title={item.problem?.detail ?? ''}>{item.problem?.title ?? 'Failed'}</span>;
  if (item.state === 'stored') return <><span class="file-bar-line full" /><span class="file-state">stored{is_outdated(item, options) ? ', other options' : ''}</span></>;
  if (item.state === 'done') {
    return <><Stages item={item} /><span class="file-state">{item.timing ? ms_text(item.timing.total_ms) : 'done'}{is_outdated(item, options) ? ', other options' : ''}</span></>;
  }
  return <><span class="file-bar-line" /><span class="file-state">waiting</span></>;
}

interface RowProps {
  item: Item;
  chosen: boolean;
  shown: Shown | null;
  options: Options;
  control: QueueControl;
}

function Row({ item, chosen, shown, options, control }: RowProps) {
  const url = use_url(item.image?.blob ?? null);
  const name = one_line(item.filename, 120);
  return (
    <li class={chosen ? 'chosen' : ''}>
      <button type="button" class="file-pick" aria-pressed={chosen} onClick={() => control.choose(item.key)}>
        <bdi>{name}</bdi> <small>{bytes_text(item.blob.size)}</small>
      </button>
      <span class="file-progress"><Progress item={item} shown={shown} options={options} /></span>
      {url && item.image
        ? <a class="quiet button" href={url} download={result_filename(item.filename, format_of_media_type(item.image.media_type))} aria-label={`Save the result of ${name}`}>Save</a>
        : <span class="quiet button gone" aria-hidden="true">Save</span>}
      <button type="button" class="quiet" aria-label={`Remove ${name}`} onClick={() => control.remove(item.key)}>Remove</button>
    </li>
  );
}

export function FileList({ control, options, shown }: { control: QueueControl; options: Options; shown: Shown }) {
  const { queue } = control;
  const { total, done, failed, outdated, bytes } = tally(queue, options);
  const parts = [`${number_text(done)} of ${number_text(total)} done`, failed > 0 ? `${failed} failed` : '', bytes_text(bytes)].filter(Boolean);
  return (
    <section class="panel files" aria-label="Files">
      <div class="panel-head">
        <h3>Files</h3>
        <small role="status">{parts.join(' · ')}</small>
        <button type="button" class="quiet" disabled={outdated + failed === 0} onClick={control.again}>
          {outdated + failed > 0 ? `Run ${outdated + failed} again` : 'All up to date'}
        </button>
        <button type="button" class="quiet" onClick={control.clear}>Clear</button>
      </div>
      {queue.left_out > 0 && <p class="field-error">The list takes 200 files; {number_text(queue.left_out)} were left out. Clear it and drop them again.</p>}
      <ul>
        {queue.items.map((item) => (
          <Row key={item.key} item={item} chosen={item.key === queue.chosen} options={options} control={control}
            shown={item.key === queue.chosen && options.delivery === 'now' && item.state !== 'failed' ? shown : null} />
        ))}
      </ul>
    </section>
  );
}
