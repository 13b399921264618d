import { useId, useRef, type ReactNode } from 'react';

/** Asks before it does what cannot be undone. */
export function ConfirmButton({ label, question, children, onConfirm, quiet = false }: {
  label: string;
  question: string;
  /** What is lost. */
  children?: ReactNode;
  onConfirm: () => void;
  quiet?: boolean;
}) { // prettier-ignore
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const close = () => dialog.current?.close();
  return (
    <>
      <button type="button" className={quiet ? 'quiet' : 'danger'} onClick={() => dialog.current?.showModal()}>
        {label}
      </button>
      <dialog ref={dialog} aria-labelledby={title}>
        <h2 id={title}>{question}</h2>
        {children}
        <div className="actions">
          {/* The first has the focus: Enter alone destroys nothing. */}
          <button type="button" onClick={close}>Keep</button>
          <button type="button" className="danger" onClick={() => (close(), onConfirm())}>{label}</button>
        </div>
      </dialog>
    </>
  );
}
