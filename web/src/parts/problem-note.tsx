import type { Problem } from '../api/problem';

/** One clear error, announced to screen readers; nothing where there is none. */
export function ProblemNote({ problem }: { problem: Problem | undefined }) {
  if (!problem) return null;
  return (
    <p className="problem" role="alert">
      <strong>{problem.code}</strong> {problem.message}
    </p>
  );
}
