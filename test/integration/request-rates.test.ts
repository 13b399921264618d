import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';

let platform: TestPlatform;
beforeAll(async () => {
  platform = await startPlatform({ env: { REQUESTS_PER_SECOND_PER_KEY: '10' } });
});
afterAll(() => platform.stop());

async function send(key: string, query = '{ queueStats { waiting } }') {
  const response = await fetch(platform.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = (await response.json()) as {
    data?: unknown;
    errors?: { extensions: Record<string, unknown> }[];
  };
  return { data, errors, retryAfter: response.headers.get('retry-after') };
}

/** The burst, and what the rate of ten a second adds while it lasts. */
const mostWithin = (milliseconds: number) => 20 + Math.ceil(milliseconds / 100);

test('a key sends twice its rate at once and its rate from then on; more is RATE_LIMITED and told when to come again', async () => {
  const key = await platform.createKey('VIEWER');
  await send(key);
  await sleep(200);
  const since = performance.now();
  const burst = await Promise.all(Array.from({ length: 40 }, () => send(key)));
  const most = mostWithin(performance.now() - since);
  const refused = burst.filter(({ errors }) => errors !== undefined);
  expect(burst.length - refused.length).toBeGreaterThanOrEqual(20);
  expect(burst.length - refused.length).toBeLessThanOrEqual(most);
  for (const { errors, retryAfter } of refused) {
    expect(errors).toMatchObject([{ extensions: { code: 'RATE_LIMITED', retryable: true, retryAfterMs: expect.any(Number) } }]);
    expect(retryAfter).toBe('1');
  }
  // Of the burst itself another may have taken what one was told to wait for.
  let last = await send(key);
  while (last.errors === undefined) last = await send(key);
  await sleep(last.errors[0]!.extensions['retryAfterMs'] as number);
  expect((await send(key)).errors).toBeUndefined();
});

test('the limit is of the key: another is served meanwhile', async () => {
  const [one, other] = [await platform.createKey('VIEWER'), await platform.createKey('VIEWER')];
  const burst = await Promise.all(Array.from({ length: 40 }, () => send(one)));
  expect(burst.some(({ errors }) => errors !== undefined)).toBe(true);
  expect((await send(other)).errors).toBeUndefined();
});

test('the Open Inference Protocol counts by the same bucket, and says 429 with when to come again', async () => {
  const key = await platform.createKey('VIEWER');
  const ask = () => fetch(new URL('/v2/models/none', platform.url), { headers: { authorization: `Bearer ${key}` } });
  const since = performance.now();
  const [answers, operations] = await Promise.all([
    Promise.all(Array.from({ length: 40 }, ask)),
    Promise.all(Array.from({ length: 10 }, () => send(key))),
  ]);
  const most = mostWithin(performance.now() - since);
  const found = answers.filter(({ status }) => status === 404).length;
  const admitted = found + operations.filter(({ errors }) => errors === undefined).length;
  expect(admitted).toBeGreaterThanOrEqual(20);
  expect(admitted).toBeLessThanOrEqual(most);
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused).toHaveLength(answers.length - found);
  for (const response of refused) {
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await response.json()).toEqual({ error: expect.stringMatching(/^this key sends more than 10 requests a second/) });
  }
});

test('a request of many fields counts once, and is refused as a whole', async () => {
  const key = await platform.createKey('VIEWER');
  const many = `{ ${Array.from({ length: 15 }, (_, index) => `a${index}: queueStats { waiting }`).join(' ')} }`;
  expect((await send(key, many)).errors).toBeUndefined();
  expect((await send(key, many)).errors).toBeUndefined();
  await Promise.all(Array.from({ length: 40 }, () => send(key)));
  const answers = await Promise.all(Array.from({ length: 10 }, () => send(key, many)));
  const refused = answers.filter(({ errors }) => errors !== undefined);
  expect(refused.length).toBeGreaterThan(0);
  for (const { data, errors } of refused) {
    expect(data).toBeNull();
    expect(errors![0]!.extensions['code']).toBe('RATE_LIMITED');
  }
});
