import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { PUBLISHED } from '../helpers/published-presets.js';

/** docs/resnet.md does what it says. */
const guide = readFileSync(path.resolve(import.meta.dirname, '../../docs/resnet.md'), 'utf8');

let platform: TestPlatform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.stop());

/** A block of GraphQL and, where one follows, the JSON of its answer. */
const operations = [...guide.matchAll(/```graphql\n(.*?)```(?:\n\n```json\n(.*?)```)?/gs)].map(([, query, answer]) => ({
  name: /^(?:query|mutation) (\w+)/.exec(query!)![1]!,
  query: query!,
  answer: answer === undefined ? undefined : (JSON.parse(answer) as object),
}));

test.each(operations)('its operation $name runs, and answers what it says', async ({ query, answer }) => {
  const { data, errors } = await platform.graphql(query);
  expect(errors).toBeUndefined();
  if (answer !== undefined) expect(data).toEqual(answer);
});

test('every section shows what it says with an operation', () => {
  const sections = guide.split(/^## /m).slice(1);
  expect(sections.length).toBeGreaterThan(7);
  expect(sections.filter((section) => !section.includes('```graphql')).map((section) => section.split('\n')[0])).toEqual([]);
});

test('its table has every preset with its depth and its published count', () => {
  const rows = [...guide.matchAll(/^\| ([A-Z][A-Z0-9_]+) \| (\d+) \| ([\d,]+) \|/gm)];
  const told = rows.map(([, preset, depth, count]) => [preset, Number(count!.replaceAll(',', '')), Number(depth)]);
  expect(told.toSorted()).toEqual(PUBLISHED.map((entry) => entry.slice(0, 3)).toSorted());
});
