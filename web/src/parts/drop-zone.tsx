import { useId, useState, type DragEvent } from 'react';

/** Takes files that are dropped on it, and those that are picked: a file field is inside, for keyboards. */
export function DropZone({ label, hint, accept, onFiles }: {
  label: string;
  hint: string;
  /** What the picker offers; what is dropped is not held to it. */
  accept?: string;
  onFiles: (files: File[]) => void;
}) { // prettier-ignore
  const id = useId();
  const [isOver, setOver] = useState(false);
  function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    onFiles([...event.dataTransfer.files]);
  }
  return (
    <div
      className={isOver ? 'drop over' : 'drop'}
      onDragOver={(event) => (event.preventDefault(), setOver(true))}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <label htmlFor={id}>{label}</label>
      <p id={`${id}-hint`} className="hint">{hint}</p>
      <input
        id={id}
        type="file"
        multiple
        accept={accept}
        aria-describedby={`${id}-hint`}
        onChange={({ target }) => {
          onFiles([...(target.files ?? [])]);
          // So that the same file may be picked again.
          target.value = '';
        }}
      />
    </div>
  );
}
