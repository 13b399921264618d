import { GraphQLError } from 'graphql';
import { describe, expect, test } from 'vitest';
import { badInput, unavailable } from '../../../src/errors.js';
import { createErrorMask } from '../../../src/graphql/mask-error.js';

/** What is told and what is logged. */
function masked(thrown: unknown) {
  const logged: { correlationId: string; err: Error }[] = [];
  const mask = createErrorMask({ error: (line: unknown) => logged.push(line as (typeof logged)[0]) });
  return { told: mask(thrown), logged };
}

const inResolver = (originalError: Error) => new GraphQLError(originalError.message, { originalError, path: ['run', 'model'] });

test('a known error passes as it stands, with its place, and is not logged', () => {
  const { told, logged } = masked(inResolver(badInput('input.name', 'must be short')));
  expect(told).toEqual({
    message: 'must be short',
    path: ['run', 'model'],
    extensions: { code: 'BAD_USER_INPUT', field: 'input.name' },
  });
  expect(logged).toEqual([]);
});

test('an error that may be tried again says so', () => {
  expect(masked(inResolver(unavailable('the queue does not answer'))).told.extensions).toEqual({
    code: 'SERVICE_UNAVAILABLE',
    retryable: true,
  });
});

describe('anything else', () => {
  test.each([
    ['a bug', inResolver(new TypeError('x of undefined in /srv/secret.js'))],
    ['a fault of ours in the schema', new GraphQLError('Cannot return null for non-nullable field', { path: ['run'] })],
    ['what is no error', inResolver('oops /srv/secret.js' as unknown as Error)],
    ['a bare error', new RangeError('/srv/secret.js')],
  ])('is an internal error with an id, and the log has the original once: %s', (_title, thrown) => {
    const { told, logged } = masked(thrown);
    expect(told.extensions?.['code']).toBe('INTERNAL_SERVER_ERROR');
    expect(JSON.stringify(told)).not.toMatch(/secret|undefined|non-nullable|oops/);
    expect(logged).toHaveLength(1);
    expect(logged[0]?.correlationId).toBe(told.extensions?.['correlationId']);
  });

  test('a server that is away is told without its address, and logged', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:5432'), { code: 'ECONNREFUSED' });
    const { told, logged } = masked(inResolver(new Error('query failed', { cause })));
    expect(told.extensions?.['code']).toBe('SERVICE_UNAVAILABLE');
    expect(JSON.stringify(told)).not.toContain('10.0.0.7');
    expect(logged).toHaveLength(1);
  });

  test('a caller who has gone is nobody to log for', () => {
    const { logged } = masked(inResolver(new DOMException('gone', 'AbortError')));
    expect(logged).toEqual([]);
  });
});

test('a message that prints a whole image is cut in its middle', () => {
  const { told } = masked(new GraphQLError(`Variable "$i" got invalid value "${'A'.repeat(100_000)}"; Byte takes base64`));
  expect(told.message.length).toBeLessThan(700);
  expect(told.message).toMatch(/^Variable "\$i".* … .*Byte takes base64$/);
  expect(told.extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'i' });
});
