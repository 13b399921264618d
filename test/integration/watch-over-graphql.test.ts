import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { ask, defineTiny, startTiny, untilOver, uploadShapes } from '../helpers/training.js';

let platform: TestPlatform;
let ids: string[];

beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets', 'train'], env: { TRAINING_THREADS: '1' } });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
});
afterAll(async () => platform.stop());

/* eslint-disable @typescript-eslint/no-explicit-any -- the answer of a query */
it('a viewer is told of every run that changes, from its start to its end, with a time left that falls', async () => {
  const seen: any[] = [];
  const key = await platform.createKey('VIEWER');
  const watching = (async () => {
    const changes = 'subscription { runsChanged { id status etaSeconds progress } }';
    for await (const { runsChanged } of platform.subscribe(changes, {}, { key })) seen.push(runsChanged);
  })();
  await sleep(1_000);
  ids = [await startTiny(platform, { epochs: 60 }), await startTiny(platform, { epochs: 2, seed: 1 })];
  for (const id of ids) await untilOver(platform, id);
  const own = (id: string) => seen.filter((run) => run.id === id);
  for (const id of ids)
    await expect.poll(() => own(id).at(-1), { timeout: 5_000 }).toMatchObject({ status: 'SUCCEEDED', progress: 1 });
  expect(own(ids[0]!).map(({ status }) => status)).toContain('RUNNING');
  for (const { status, etaSeconds } of seen) if (status !== 'RUNNING') expect(etaSeconds).toBeNull();
  const left = own(ids[0]!).map(({ etaSeconds }) => etaSeconds).filter((eta) => eta !== null);
  expect(left.length).toBeGreaterThan(1);
  expect(Math.min(...left)).toBeGreaterThanOrEqual(0);
  expect(left.at(-1)).toBeLessThan(left[0]);
  void watching.catch(() => undefined);
});

it('runs are compared and sorted as asked', async () => {
  const { compareRuns } = await ask(
    platform,
    `query ($ids: [ID!]!) { compareRuns(ids: $ids) {
      runs { id } history { epoch metrics { trainLoss } } differences { path values }
    } }`,
    { ids },
  );
  expect(compareRuns.runs.map(({ id }: any) => id)).toEqual(ids);
  expect(compareRuns.history).toHaveLength(60);
  expect(compareRuns.history[2].metrics).toEqual([{ trainLoss: expect.any(Number) }, null]);
  expect(compareRuns.differences).toEqual([
    { path: 'epochs', values: [60, 2] },
    { path: 'seed', values: [0, 1] },
  ]);
  const query = `query ($after: String) { runs(first: 1, after: $after, orderBy: { field: LOSS, direction: ASC }) {
    nodes { evaluation { loss } } pageInfo { hasNextPage endCursor }
  } }`;
  const first = (await ask(platform, query)).runs;
  const second = (await ask(platform, query, { after: first.pageInfo.endCursor })).runs;
  expect(first.nodes[0].evaluation.loss).toBeLessThanOrEqual(second.nodes[0].evaluation.loss);
  expect(second.pageInfo.hasNextPage).toBe(false);
});
