// SPDX-License-Identifier: Apache-2.0
import { useEffect, useState } from 'preact/hooks';

// The clipboard API is only there on https and localhost; elsewhere a selected text field does it.
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement('textarea');
    field.value = text;
    field.className = 'off-screen';
    document.body.append(field);
    field.select();
    const copied = document.execCommand('copy');
    field.remove();
    return copied;
  }
}

export function CopyButton({ text, label, kind = '' }: { text: string; label: string; kind?: string }) {
  const [state, set_state] = useState<'idle' | 'copied' | 'failed'>('idle');
  useEffect(() => {
    if (state === 'idle') return;
    const timer = setTimeout(() => set_state('idle'), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  const click = async () => set_state((await copy(text)) ? 'copied' : 'failed');
  const shown = { idle: label, copied: 'Copied', failed: 'Not allowed' }[state];
  return (
    <button type="button" class={`copy ${kind}`} onClick={() => void click()}>
      <span aria-hidden="true" class="sizer">{label}</span><span class="shown" aria-live="polite">{shown}</span>
    </button>
  );
}
