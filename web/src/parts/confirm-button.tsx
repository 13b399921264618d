import { useId, useRef, type ReactNode } from 'react';

/** Asks before it does what cannot be undone. */
export function ConfirmButton({
  label, question, answer = label, children, onConfirm, quiet = false, disabled = false,
}: {
  label: string;
  question: string;
  /** That does it, where that is not what the button says. */
  answer?: string;
  /** What is lost. */
  children?: ReactNode;
  onConfirm: () => void;
  quiet?: boolean;
  disabled?: boolean;
}) { // prettier-ignore
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  const close = () => dialog.current?.close();
  return (
    <>
      <button
        type="button"
        className={quiet ? 'quiet' : 'danger'}
        disabled={disabled}
        onClick={() => dialog.current?.showModal()}
      >
        {label}
      </button>
      <dialog ref={dialog} aria-labelledby={title}>
        <h2 id={title}>{question}</h2>
        {children}
        <div className="actions">
          {/* The first has the focus: Enter alone destroys nothing. */}
          <button type="button" onClick={close}>Keep</button>
          <button type="button" className="danger" onClick={() => (close(), onConfirm())}>{answer}</button>
        </div>
      </dialog>
    </>
  );
}
