// SPDX-License-Identifier: Apache-2.0
// The ways an image gets in: dropped, picked, pasted, or one of the samples.
import { useEffect, useRef, useState } from 'preact/hooks';
import { k_samples, type Sample } from '../samples';
import type { NewFile } from '../work/queue';

export type OnFiles = (files: readonly NewFile[]) => void;

const k_accept = 'image/png,image/jpeg,image/tiff,.png,.jpg,.jpeg,.tif,.tiff,.pgm,.ppm,.pnm,.pam';

const named = (files: Iterable<File>): NewFile[] => Array.from(files, (file) => ({ blob: file, filename: file.name || 'pasted.png' }));

export function FileButton({ on_files, label, kind }: { on_files: OnFiles; label: string; kind: string }) {
  const picker = useRef<HTMLInputElement>(null);
  const picked = () => {
    const files = named(picker.current?.files ?? []);
    if (files.length > 0) on_files(files);
    if (picker.current) picker.current.value = '';  // so that the same file can be picked again
  };
  return (
    <>
      <input ref={picker} type="file" multiple accept={k_accept} hidden onChange={picked} aria-label="Image files" />
      <button type="button" class={kind} onClick={() => picker.current?.click()}>{label}</button>
    </>
  );
}

function SampleButton({ sample, on_files, on_failure }: { sample: Sample; on_files: OnFiles; on_failure: () => void }) {
  const pick = async () => {
    try {
      const response = await fetch(sample.url);
      if (!response.ok) throw new Error();
      on_files([{ blob: await response.blob(), filename: sample.filename }]);
    } catch {
      on_failure();
    }
  };
  return (
    <button type="button" class="sample" onClick={() => void pick()}>
      <img src={sample.url} alt="" width={720} height={480} />
      <span><b>{sample.title}</b> <small>{sample.about}</small></span>
    </button>
  );
}

export function DropZone({ on_files }: { on_files: OnFiles }) {
  const [failed, set_failed] = useState(false);
  return (
    <section class="panel drop-zone" aria-labelledby="drop-title">
      <svg viewBox="0 0 48 48" aria-hidden="true" class="drop-mark">
        <path d="M24 31V9m-9 9 9-9 9 9M7 31v6a4 4 0 0 0 4 4h26a4 4 0 0 0 4-4v-6" />
      </svg>
      <h2 id="drop-title">Drop images here</h2>
      <p>or paste one, or choose files: PNG, JPEG, TIFF, PGM, PPM or PAM, 8 or 16 bit.</p>
      <FileButton on_files={on_files} label="Choose files" kind="primary" />
      <h3>No image at hand? Try a sample</h3>
      <div class="samples">
        {k_samples.map((sample) => (
          <SampleButton key={sample.url} sample={sample} on_files={on_files} on_failure={() => set_failed(true)} />
        ))}
      </div>
      {failed && <p class="field-error" role="alert">The sample could not be loaded from the server.</p>}
    </section>
  );
}

// Dropping and pasting work anywhere on the page. True while something is dragged over it.
export function use_drop_and_paste(on_files: OnFiles): boolean {
  const [dragging, set_dragging] = useState(false);
  const latest = useRef(on_files);
  latest.current = on_files;
  useEffect(() => {
    const take = (data: DataTransfer | null) => {
      const files = named(data?.files ?? []);
      if (files.length > 0) latest.current(files);
    };
    const over = (event: DragEvent) => {
      event.preventDefault();
      set_dragging(true);
    };
    const leave = (event: DragEvent) => event.relatedTarget === null && set_dragging(false);
    const drop = (event: DragEvent) => {
      event.preventDefault();
      set_dragging(false);
      take(event.dataTransfer);
    };
    const paste = (event: ClipboardEvent) => take(event.clipboardData);
    document.addEventListener('dragover', over);
    document.addEventListener('dragleave', leave);
    document.addEventListener('drop', drop);
    document.addEventListener('paste', paste);
    return () => {
      document.removeEventListener('dragover', over);
      document.removeEventListener('dragleave', leave);
      document.removeEventListener('drop', drop);
      document.removeEventListener('paste', paste);
    };
  }, []);
  return dragging;
}
