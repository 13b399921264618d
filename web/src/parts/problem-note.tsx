import type { Problem } from '../api/problem';

/** One clear error with the field that it is about, announced to screen readers; nothing where there is none. */
export function ProblemNote({ problem }: { problem: Problem | undefined }) {
  if (!problem) return null;
  const { code, field, message } = problem;
  return (
    <p className="problem" role="alert">
      <strong>{code}</strong> {field !== undefined && <><code>{field}</code>: </>}{message}
    </p>
  );
}
