// SPDX-License-Identifier: Apache-2.0
import { useState } from 'preact/hooks';
import { plane_name, type Counts, type Plane } from '../histogram';
import { bytes_text, number_text } from '../text';

interface Props {
  before: Counts | null;
  after: Counts | null;
  color: string;
  before_bytes: number;
  after_bytes: number | null;
}

type Row = [label: string, before: string, after: string];

const size_text = (counts: Counts | null) =>
  counts ? `${number_text(counts.width)} × ${number_text(counts.height)}` : '–';

const sample_text = (counts: Counts | null) =>
  counts ? `${counts.format.toUpperCase()}, ${counts.channels} × ${counts.depth} bit` : '–';

function rows({ before, after, before_bytes, after_bytes }: Props, a: Plane | undefined, b: Plane | undefined): Row[] {
  const both = (label: string, of: (plane: Plane) => number, digits = 0): Row =>
    [label, number_text(a && of(a), digits), number_text(b && of(b), digits)];
  const all: Row[] = [
    ['Size', size_text(before), size_text(after)],
    ['Samples', sample_text(before), sample_text(after)],
    ['File', bytes_text(before_bytes), after_bytes === null ? '–' : bytes_text(after_bytes)],
    both('Pixels counted', (plane) => plane.counted),
    both('Left out', (plane) => plane.masked),
    both('Lowest', (plane) => plane.min),
    both('Highest', (plane) => plane.max),
    both('Mean', (plane) => plane.mean, 2),
    both('Std deviation', (plane) => plane.stddev, 2),
    both('Entropy, bits', (plane) => plane.entropy_bits, 3),
  ];
  return all.filter(([label]) => label !== 'Left out' || (a?.masked ?? 0) + (b?.masked ?? 0) > 0);
}

function choice_name(counts: Counts, plane: Plane, color: string): string {
  const name = plane_name(counts, plane, color);
  return counts.pages > 1 ? `Page ${plane.page + 1}, ${name}` : name;
}

export function Numbers(props: Props) {
  const [chosen, set_chosen] = useState(0);
  const { before, color } = props;
  const planes = before?.planes ?? [];
  const index = chosen < planes.length ? chosen : 0;
  return (
    <section class="panel numbers" aria-label="Numbers">
      <div class="panel-head">
        <h3>Numbers</h3>
        {before && planes.length > 1 && (
          <select aria-label="Channel" value={index} onChange={(event) => set_chosen(Number(event.currentTarget.value))}>
            {planes.map((plane, i) => <option key={i} value={i}>{choice_name(before, plane, color)}</option>)}
          </select>
        )}
      </div>
      <table>
        <thead><tr><td /><th scope="col">Before</th><th scope="col">After</th></tr></thead>
        <tbody>
          {rows(props, planes[index], props.after?.planes[index]).map(([label, a, b]) => (
            <tr key={label}><th scope="row">{label}</th><td>{a}</td><td>{b}</td></tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
