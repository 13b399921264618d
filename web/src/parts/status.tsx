const SIGNS: Record<string, string> = {
  QUEUED: '…', RUNNING: '▶', PAUSED: '❚❚', SUCCEEDED: '✓', FAILED: '✕', CANCELLED: '⊘',
  READY: '✓', INVALID: '✕', VALIDATING: '▶', AWAITING_UPLOAD: '…', PENDING: '…', LOADING: '▶', RELEASING: '⊘',
  ONLINE: '✓', OFFLINE: '✕',
}; // prettier-ignore

/** A state by sign, word and colour: no one of them alone carries it. */
export function Status({ of }: { of: string }) {
  return (
    <span className={`status status-${of.toLowerCase()}`}>
      <span aria-hidden="true">{SIGNS[of] ?? '•'}</span> {of.toLowerCase().replaceAll('_', ' ')}
    </span>
  );
}
