// SPDX-License-Identifier: Apache-2.0
// Changes a stream while it runs, and adds one.
import { useEffect, useRef, useState } from 'preact/hooks';
import { send_json, type Answer } from '../api';
import { change_of, config_of, draft_errors, k_first_draft, tuning_errors, tuning_of, type Draft, type Tuning } from '../model/stream_fields';
import { stream_path, type StreamConfig, type StreamState } from '../model/streams';
import type { Problem } from '../problem';
import { ProblemView } from './problem_view';
import { ChoiceField, LinesField, TextField, TuningFields, type FormProps } from './stream_fields';

interface Sent {
  busy: boolean;
  problem: Problem | null;
  forget: () => void;  // what was refused is no longer what is asked for
  send: (ask: () => Promise<Answer<StreamState>>, done: (state: StreamState) => void) => Promise<void>;
}

function use_send(): Sent {
  const [busy, set_busy] = useState(false);
  const [problem, set_problem] = useState<Problem | null>(null);
  const send: Sent['send'] = async (ask, done) => {
    set_busy(true);
    const answer = await ask();
    set_busy(false);
    set_problem(answer.ok ? null : answer.problem);
    if (answer.ok) done(answer.value);
  };
  return { busy, problem, forget: () => set_problem(null), send };
}

interface ChangeProps {
  name: string;
  config: StreamConfig;
  token: string;
  on_changed: (state: StreamState) => void;
}

// What was not touched follows the stream, whoever changes it.
export function ChangeStream({ name, config, token, on_changed }: ChangeProps) {
  const [touched, set_touched] = useState<Partial<Tuning>>({});
  const [said, set_said] = useState('');
  const { busy, problem, forget, send } = use_send();
  const told = tuning_of(config);
  const value = { ...told, ...touched };
  const errors = tuning_errors(value);
  const valid = Object.keys(errors).length === 0;
  const change = valid ? change_of(config, value) : {};
  const changed = Object.keys(change).length > 0;
  const edit = (next: Tuning) => {
    const kept = Object.entries(next).filter(([field, text]) => text !== told[field as keyof Tuning]);
    set_touched(Object.fromEntries(kept) as Partial<Tuning>);
    set_said('');
    forget();
  };
  const apply = () => void send(() => send_json<StreamState>('PATCH', stream_path(name), token, change), (state) => {
    set_touched({});
    set_said('Holds from the next frame on.');
    on_changed(state);
  });
  return (
    <form class="live-form" aria-label={`Change ${name}`} novalidate onSubmit={(event) => {
      event.preventDefault();
      if (changed && !busy) apply();
    }}>
      <TuningFields value={value} errors={errors} prefix="live" on_change={edit} />
      {problem && <ProblemView problem={problem} on_retry={apply} />}
      <div class="form-actions">
        <button type="submit" class="primary" disabled={!changed || busy}>{busy ? 'Applying …' : 'Apply'}</button>
        <button type="button" disabled={Object.keys(touched).length === 0 || busy} onClick={() => edit(told)}>Undo</button>
        <span role="status" class="help">{said || (changed ? '' : 'A change needs a token of the role admin. No packet is lost by it.')}</span>
      </div>
    </form>
  );
}

const choices = (...values: string[]) => values.map((value) => ({ value, label: value }));
const k_by = [{ value: 'fields', label: 'By fields' }, { value: 'sdp', label: 'By a description (SDP)' }];
const k_scans = [{ value: '', label: 'Progressive' }, { value: 'interlaced', label: 'Interlaced' }];

function FormatFields(form: FormProps<Draft>) {
  if (form.value.by === 'sdp') {
    return <LinesField {...form} name="sdp" label="Description" help="As the sender prints it: v=0 and what follows." rows={8} />;
  }
  return (
    <>
      <div class="field-row">
        <ChoiceField {...form} name="sampling" label="Sampling" help="" choices={choices('YCbCr-4:2:2', 'YCbCr-4:2:0', 'RGB', 'RGBA')} />
        <ChoiceField {...form} name="depth" label="Bits" help="" choices={choices('8', '10', '12', '16')} />
      </div>
      <div class="field-row three">
        <TextField {...form} name="width" label="Width" help="" mode="numeric" />
        <TextField {...form} name="height" label="Height" help="" mode="numeric" />
        <ChoiceField {...form} name="interlaced" label="Scan" help="" choices={k_scans} />
      </div>
    </>
  );
}

function PlaceFields(form: FormProps<Draft>) {
  const { by, backend } = form.value;
  return (
    <>
      <TextField {...form} name="listen" label="Listens on" help={by === 'sdp' ? 'ADDRESS:PORT, or a group. Empty: as the description says.' : 'ADDRESS:PORT, or a group such as 239.1.1.1:5004.'} />
      <TextField {...form} name="interface" label="Interface" help="For a group: the address of the interface. May be empty." />
      <div class="field-row">
        <ChoiceField {...form} name="backend" label="Received by" help="" choices={choices('io_uring', 'dpdk')} />
        <TextField {...form} name="cpu" label="CPU" help="Empty: one that is free." mode="numeric" />
      </div>
      {backend === 'dpdk' && (
        <TextField {...form} name="dpdk_port" label="DPDK port" help="The device, with its arguments." />
      )}
    </>
  );
}

function DraftFields(form: FormProps<Draft>) {
  return (
    <>
      <fieldset>
        <legend>What comes in</legend>
        <div class="field-row">
          <TextField {...form} name="name" label="Name" help="As camera-1." />
          <ChoiceField {...form} name="by" label="Format" help="" choices={k_by} />
        </div>
        <FormatFields {...form} />
        <PlaceFields {...form} />
      </fieldset>
      <fieldset>
        <legend>What is made of it</legend>
        <TuningFields {...form} />
      </fieldset>
    </>
  );
}

interface AddProps {
  taken: readonly string[];
  token: string;
  on_added: (state: StreamState) => void;
  on_close: () => void;
}

export function AddStream({ taken, token, on_added, on_close }: AddProps) {
  const [draft, set_draft] = useState<Draft>(k_first_draft);
  const [tried, set_tried] = useState(false);
  const { busy, problem, forget, send } = use_send();
  const form = useRef<HTMLFormElement>(null);
  const errors = draft_errors(draft, taken);
  const valid = Object.keys(errors).length === 0;
  // The button that opened it is where the reader was: the form goes on from there.
  useEffect(() => form.current?.querySelector('input')?.focus(), []);
  const add = () => {
    set_tried(true);
    if (!valid) return form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
    void send(() => send_json<StreamState>('PUT', stream_path(draft.name), token, config_of(draft)), on_added);
  };
  useEffect(() => {
    if (tried && !valid) form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [tried]);
  const edit = (next: Draft) => {
    set_draft(next);
    forget();
  };
  return (
    <section class="panel live-add" aria-labelledby="add-title">
      <div class="panel-head"><h3 id="add-title">Add a stream</h3><button type="button" class="quiet" onClick={on_close}>Cancel</button></div>
      <form ref={form} class="live-form two-columns" aria-labelledby="add-title" novalidate onSubmit={(event) => {
        event.preventDefault();
        if (!busy) add();
      }}>
        <DraftFields value={draft} errors={tried ? errors : {}} prefix="add" on_change={edit} />
        {problem && <ProblemView problem={problem} on_retry={add} />}
        <div class="form-actions">
          <button type="submit" class="primary" disabled={busy}>{busy ? 'Adding …' : 'Add'}</button>
          <span class="help">It needs a token of the role admin. It lives until the daemon ends; one that is to stay is a [[stream]] in the configuration.</span>
        </div>
      </form>
    </section>
  );
}
