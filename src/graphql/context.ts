import { admitRequest } from '../access/admit-request.js';
import type { ApiKeyVerifier, Caller } from '../access/api-keys.js';
import { bearerToken } from '../access/bearer-token.js';
import type { RequestRates } from '../access/request-rates.js';
import type { Database } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { ObjectStore } from '../infra/objects.js';
import type { JobQueue } from '../infra/queue.js';
import type { Predictor } from '../serving/predict.js';
import { createLoaders, type Loaders } from './loaders.js';

/** What `main.ts` builds and every use case takes its part of. */
export interface Services {
  readonly database: Database;
  readonly objects: ObjectStore;
  readonly queue: JobQueue;
  readonly events: EventBus;
  readonly predictor: Predictor;
  readonly keys: ApiKeyVerifier;
  readonly rates: RequestRates;
  readonly dataDir: string;
}

/** One operation's surroundings. */
export interface Context {
  readonly services: Services;
  readonly loaders: Loaders;
  /** By `performance.now()`. */
  readonly startedAtMs: number;
  /** Aborted when the caller is gone. */
  readonly signal: AbortSignal;
  /** The key of the caller; each call looks anew, so that a subscription ends with its key. */
  authenticate(): Promise<Caller>;
  /** Whom `authenticate` last found, for the log. */
  caller: Caller | undefined;
}

/** `authorization`: `Bearer KEY`, from the header or from a subscription's connection parameters. */
export function createContext(services: Services, authorization: unknown, signal: AbortSignal): Context {
  // Once for all fields of an operation, and for all values of a subscription.
  let admission: Promise<Caller> | undefined;
  return {
    services,
    loaders: createLoaders(services.database),
    startedAtMs: performance.now(),
    signal,
    caller: undefined,
    async authenticate() {
      const secret = bearerToken(authorization);
      await (admission ??= admitRequest(services, secret));
      this.caller = await services.keys.verify(secret);
      return this.caller;
    },
  };
}
