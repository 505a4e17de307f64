// SPDX-License-Identifier: Apache-2.0
import {
  k_colors, k_deliveries, k_formats, k_methods, k_placements, option_errors, placement_applies, rule_applies, rules_for, with_option, type Choice,
  type Options,
} from '../options';

interface Props {
  options: Options;
  on_change: (options: Options) => void;
}

interface PillsProps {
  name: keyof Options;
  legend: string;
  choices: readonly Choice[];
  value: string;
  on_pick: (value: string) => void;
  is_enabled?: (value: string) => boolean;
}

function Pills({ name, legend, choices, value, on_pick, is_enabled = () => true }: PillsProps) {
  const help = choices.find((choice) => choice.value === value)?.help;
  return (
    <fieldset>
      <legend>{legend}</legend>
      <div class="pills">
        {choices.map((choice) => (
          <label key={choice.value} class="pill" title={choice.help}>
            <input type="radio" name={name} value={choice.value} checked={choice.value === value}
              disabled={!is_enabled(choice.value)} aria-describedby={`${name}-help`}
              onChange={() => on_pick(choice.value)} />
            <span>{choice.label}</span>
          </label>
        ))}
      </div>
      <p id={`${name}-help`} class="help two-lines" aria-live="polite">{help}</p>
    </fieldset>
  );
}

interface FieldProps extends Props {
  name: 'clip' | 'tiles' | 'quality';
  label: string;
  help: string;
  enabled: boolean;  // a field that is not used stays in its place, greyed out: nothing jumps
}

function Field({ name, label, help, enabled, options, on_change }: FieldProps) {
  const error = option_errors(options)[name];
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <input id={name} type="text" inputMode={name === 'tiles' ? 'text' : 'decimal'} value={options[name]} autocomplete="off"
        placeholder={name === 'quality' ? 'auto' : ''} disabled={!enabled} aria-describedby={`${name}-help`} aria-invalid={Boolean(error)}
        onInput={(event) => on_change(with_option(options, name, event.currentTarget.value))} />
      <p id={`${name}-help`} class={error ? 'field-error' : 'help'}>{error ?? help}</p>
    </div>
  );
}

function OutputFormat({ options, on_change }: Props) {
  return (
    <div class="field-row wide-first">
      <div class="field">
        <label for="format">Output format</label>
        <select id="format" value={options.format} aria-describedby="format-help"
          onChange={(event) => on_change(with_option(options, 'format', event.currentTarget.value))}>
          {k_formats.map((format) => <option key={format.value} value={format.value}>{format.label}</option>)}
        </select>
        <p id="format-help" class="help two-lines">{k_formats.find((format) => format.value === options.format)?.help}</p>
      </div>
      <Field name="quality" label="Quality" help="JPEG: 1 to 100" enabled={options.format === 'jpeg'} options={options}
        on_change={on_change} />
    </div>
  );
}

export function Controls({ options, on_change }: Props) {
  const pick = (name: keyof Options) => (value: string) => on_change(with_option(options, name, value));
  return (
    <form class="controls" aria-label="How to equalize" onSubmit={(event) => event.preventDefault()}>
      <Pills name="method" legend="Method" choices={k_methods} value={options.method} on_pick={pick('method')} />
      <div class="field-row">
        <Field name="clip" label="Clip limit" help="CLAHE: more is stronger" enabled={options.method === 'clahe'}
          options={options} on_change={on_change} />
        <Field name="tiles" label="Tiles" help="CLAHE: across x down" enabled={options.method === 'clahe'}
          options={options} on_change={on_change} />
      </div>
      <Pills name="rule" legend="Rule" choices={rules_for(options.method)} value={options.rule} on_pick={pick('rule')}
        is_enabled={(rule) => rule_applies(options.method, rule)} />
      <Pills name="color" legend="Colour" choices={k_colors} value={options.color} on_pick={pick('color')} />
      <Pills name="placement" legend="Placement" choices={k_placements} value={options.placement} on_pick={pick('placement')}
        is_enabled={(placement) => placement_applies(options.method, placement)} />
      <Pills name="delivery" legend="Results" choices={k_deliveries} value={options.delivery} on_pick={pick('delivery')} />
      <OutputFormat options={options} on_change={on_change} />
    </form>
  );
}
