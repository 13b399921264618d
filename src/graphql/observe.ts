import type { ApolloServerPlugin } from '@apollo/server';
import { Kind, type GraphQLFormattedError, type OperationDefinitionNode } from 'graphql';
import { retryAfterSeconds } from '../errors.js';
import type { Logger } from '../infra/log.js';
import type { Metrics } from '../infra/metrics.js';
import type { Context } from './context.js';

export interface Observers {
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface FinishedOperation {
  readonly context: Context;
  /** Missing where the document is not valid. */
  readonly definition?: OperationDefinitionNode | null | undefined;
  readonly errors: readonly GraphQLFormattedError[];
}

/** Counts an operation, and writes one line of log where it failed. One that its caller gave up has not failed. */
export function observe({ logger, metrics }: Observers, { context, definition, errors }: FinishedOperation): void {
  const operation = rootField(definition);
  const kind = definition?.operation ?? 'invalid';
  const [first] = errors;
  const told = String(first?.extensions?.['code'] ?? 'OK');
  const code = told !== 'OK' && context.signal.aborted ? 'ABORTED' : told;
  const durationMs = Math.round(performance.now() - context.startedAtMs);
  metrics.operations.inc({ operation, kind, code });
  // How long a subscription lasts is its client's choice.
  if (kind !== 'subscription') metrics.operationSeconds.observe({ operation, kind }, durationMs / 1_000);
  if (code === 'OK' || code === 'ABORTED') return;
  const { field, correlationId } = first?.extensions ?? {};
  const who = { keyId: context.caller?.keyId, name: definition?.name?.value };
  logger[level(code)]({ operation, kind, code, field, ...who, durationMs, correlationId }, 'operation failed');
}

export function observeHttp(observers: Observers): ApolloServerPlugin<Context> {
  return {
    requestDidStart: async () => ({
      willSendResponse: async ({ contextValue, operation, response }) => {
        const errors = response.body.kind === 'single' ? (response.body.singleResult.errors ?? []) : [];
        observe(observers, { context: contextValue, definition: operation, errors });
        const retryAfterMs = errors[0]?.extensions?.['retryAfterMs'];
        if (retryAfterMs !== undefined) response.http.headers.set('retry-after', retryAfterSeconds(retryAfterMs));
      },
    }),
  };
}

/** The name of an operation is its caller's own, of which there is no end; the schema's fields are few. */
function rootField(definition: OperationDefinitionNode | null | undefined): string {
  const [first] = definition?.selectionSet.selections ?? [];
  return first?.kind === Kind.FIELD ? first.name.value : 'none';
}

function level(code: string): 'info' | 'warn' | 'error' {
  if (code === 'INTERNAL_SERVER_ERROR') return 'error';
  return code === 'SERVICE_UNAVAILABLE' ? 'warn' : 'info';
}
