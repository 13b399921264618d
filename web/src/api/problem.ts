import type { CombinedError } from 'urql';

/** What went wrong, as the API tells it. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  /** Dotted path of the argument at fault, without the leading `input.`: optimizer.learningRate. */
  readonly field?: string | undefined;
}

export function problemOf(error: CombinedError): Problem;
export function problemOf(error: CombinedError | undefined): Problem | undefined;
export function problemOf(error: CombinedError | undefined): Problem | undefined {
  if (!error) return undefined;
  const [first] = error.graphQLErrors;
  if (!first) return { code: 'UNREACHABLE', message: `The server does not answer: ${error.networkError?.message}` };
  const { code, field } = first.extensions;
  return {
    code: String(code ?? 'INTERNAL'),
    message: first.message,
    field: typeof field === 'string' ? field.replace(/^input\./, '') : undefined,
  };
}
