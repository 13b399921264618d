import type { ApiKeyVerifier, Caller } from './api-keys.js';
import type { RequestRates } from './request-rates.js';

/**
 * Who sends a request, which is counted: once for each, at every door.
 * @throws UNAUTHENTICATED, or RATE_LIMITED with `retryAfterMs`
 */
export async function admitRequest(
  { keys, rates }: { keys: ApiKeyVerifier; rates: RequestRates },
  secret: string,
): Promise<Caller> {
  const caller = await keys.verify(secret);
  rates.charge(caller.keyId);
  return caller;
}
