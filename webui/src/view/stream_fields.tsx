// SPDX-License-Identifier: Apache-2.0
// The fields that the forms of a stream share.
import type { ComponentChildren } from 'preact';
import { k_rules, type Choice } from '../options';
import type { FieldErrors, Tuning } from '../model/stream_fields';

interface FieldProps {
  id: string;
  label: string;
  help: string;
  error: string | undefined;
  children: (described: { id: string; 'aria-describedby': string; 'aria-invalid': boolean }) => ComponentChildren;
}

function Labelled({ id, label, help, error, children }: FieldProps) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, 'aria-describedby': `${id}-help`, 'aria-invalid': Boolean(error) })}
      <p id={`${id}-help`} class={error ? 'field-error' : 'help'}>{error ?? help}</p>
    </div>
  );
}

export interface FormProps<T> {
  value: T;
  errors: FieldErrors<T>;
  prefix: string;  // of the ids: two forms may be on the page
  on_change: (value: T) => void;
}

interface OneProps<T> extends FormProps<T> {
  name: keyof T & string;
  label: string;
  help: string;
}

type Strings<T> = { [name in keyof T]: string };

export function TextField<T extends Strings<T>>({ value, errors, prefix, on_change, name, label, help, mode = 'text' }: OneProps<T> & { mode?: 'text' | 'decimal' | 'numeric' }) {
  return (
    <Labelled id={`${prefix}-${name}`} label={label} help={help} error={errors[name]}>
      {(described) => (
        <input {...described} type="text" inputMode={mode} value={value[name]} autocomplete="off" autocapitalize="off" spellcheck={false}
          onInput={(event) => on_change({ ...value, [name]: event.currentTarget.value })} />
      )}
    </Labelled>
  );
}

export function LinesField<T extends Strings<T>>({ value, errors, prefix, on_change, name, label, help, rows }: OneProps<T> & { rows: number }) {
  return (
    <Labelled id={`${prefix}-${name}`} label={label} help={help} error={errors[name]}>
      {(described) => (
        <textarea {...described} rows={rows} value={value[name]} autocomplete="off" autocapitalize="off" spellcheck={false}
          onInput={(event) => on_change({ ...value, [name]: event.currentTarget.value })} />
      )}
    </Labelled>
  );
}

export function ChoiceField<T extends Strings<T>>({ value, errors, prefix, on_change, name, label, help, choices }: OneProps<T> & { choices: ReadonlyArray<Pick<Choice, 'value' | 'label'>> }) {
  return (
    <Labelled id={`${prefix}-${name}`} label={label} help={help} error={errors[name]}>
      {(described) => (
        <select {...described} value={value[name]} onChange={(event) => on_change({ ...value, [name]: event.currentTarget.value })}>
          {choices.map((choice) => <option key={choice.value} value={choice.value}>{choice.label}</option>)}
        </select>
      )}
    </Labelled>
  );
}

const k_smoothings = [{ value: 'window', label: 'Sliding window' }, { value: 'average', label: 'Running average' }];

// What may change while the stream runs.
export function TuningFields<T extends Tuning & Strings<T>>(form: FormProps<T>) {
  const { rule, smoothing } = form.value;
  const average = smoothing === 'average';
  return (
    <>
      <ChoiceField {...form} name="rule" label="Rule" help={k_rules.find((one) => one.value === rule)?.help ?? ''} choices={k_rules} />
      <div class="field-row">
        <ChoiceField {...form} name="smoothing" label="Table made of" help={average ? 'The latest frame weighs most.' : 'The last frames, exactly.'} choices={k_smoothings} />
        {average
          ? <TextField {...form} name="average_frames" label="Frames" help="A power of two. More: calmer." mode="numeric" />
          : <TextField {...form} name="frames" label="Frames" help="1: each frame by itself. More: calmer." mode="numeric" />}
      </div>
      <div class="field-row">
        <TextField {...form} name="clip_limit" label="Clip limit" help="Of the contrast. 0: none." mode="decimal" />
        <TextField {...form} name="scene_cut" label="Scene cut" help="Begins anew beyond it. 0: off." mode="decimal" />
      </div>
      <LinesField {...form} name="targets" label="Targets" help="ADDRESS:PORT, one in a line, at most 4. The first gets the packet that came in." rows={3} />
      <TextField {...form} name="per_second" label="Pictures per second" help="Of the preview, 0 to 5." mode="decimal" />
    </>
  );
}
