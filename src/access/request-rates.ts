import { TokenBucket } from 'limiter';
import { ResidualError } from '../errors.js';

/** Keys that are remembered; one that was silent for longest is forgotten first, and begins anew. */
const MAX_KEYS = 10_000;

/**
 * Requests per second and API key: a token bucket for each, of twice what it takes in a second. Each process counts
 * for itself, so that no request waits for a store; N processes behind a balancer let a key have N times the rate.
 */
export class RequestRates {
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(private readonly perSecond: number) {}

  /** @throws RATE_LIMITED with `retryAfterMs`, when the next request would be let in */
  charge(keyId: string): void {
    const bucket = this.#bucketOf(keyId);
    if (bucket.tryRemoveTokens(1)) return;
    const retryAfterMs = Math.max(1, Math.ceil(bucket.getWaitTime(1)));
    const message = `this key sends more than ${this.perSecond} requests a second; try again in ${retryAfterMs} ms`;
    throw new ResidualError('RATE_LIMITED', message, undefined, { retryAfterMs });
  }

  #bucketOf(keyId: string): TokenBucket {
    const bucket = this.#buckets.get(keyId) ?? this.#fullBucket();
    this.#buckets.delete(keyId);
    this.#buckets.set(keyId, bucket);
    const [silent] = this.#buckets.keys();
    if (this.#buckets.size > MAX_KEYS) this.#buckets.delete(silent!);
    return bucket;
  }

  #fullBucket(): TokenBucket {
    const bucketSize = 2 * this.perSecond;
    const bucket = new TokenBucket({ bucketSize, tokensPerInterval: this.perSecond, interval: 'second' });
    bucket.content = bucketSize;
    return bucket;
  }
}
