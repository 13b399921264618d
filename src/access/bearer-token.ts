import { ResidualError } from '../errors.js';

/**
 * The secret in `authorization: Bearer KEY`.
 * @throws UNAUTHENTICATED where there is none
 */
export function bearerToken(authorization: unknown): string {
  const text = typeof authorization === 'string' ? authorization : '';
  const [, token = ''] = /^\s*(?:bearer\b)?\s*(\S*)/i.exec(text) ?? [];
  if (token === '') throw new ResidualError('UNAUTHENTICATED', 'send an API key: `authorization: Bearer KEY`');
  return token;
}
