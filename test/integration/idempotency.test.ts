import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPlatform, type GraphQLAnswer, type TestPlatform } from '../helpers/platform.js';
import { ask, defineTiny, uploadShapes } from '../helpers/training.js';

let platform: TestPlatform;
/** The same API twice, as behind a balancer. */
let second: TestPlatform['graphql'];

beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets'] });
  await Promise.all([uploadShapes(platform, 64, 16), defineTiny(platform)]);
  second = await platform.startApi();
});
afterAll(() => platform.stop());

const START = 'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id status totalSteps config tags } }';
const startFrom = (api: TestPlatform['graphql'], more: object) =>
  api(START, { input: { model: 'tiny', dataset: 'shapes', epochs: 1, batchSize: 16, ...more } });

/** Fifty at once, over both processes. */
const fifty = (input: (index: number) => object): Promise<GraphQLAnswer[]> =>
  Promise.all(Array.from({ length: 50 }, (_, index) => startFrom(index % 2 ? second : platform.graphql, input(index))));
const runsTagged = async (tag: string): Promise<number> =>
  (await ask(platform, 'query ($tag: String) { runs(tag: $tag) { totalCount } }', { tag })).runs.totalCount;

it('fifty identical requests at once with one key are one run, and all have the same answer', async () => {
  const answers = await fifty(() => ({ idempotencyKey: 'same', tags: ['same'] }));
  expect(answers[0]).toMatchObject({ data: { startTraining: { status: 'QUEUED' } } });
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  expect(await runsTagged('same')).toBe(1);
});

it('of fifty at once with one key and two inputs one input is the run, and the other CONFLICT, naming the key', async () => {
  const answers = await fifty((index) => ({ idempotencyKey: 'two', tags: ['two'], seed: Math.floor(index / 2) % 2 }));
  expect(await runsTagged('two')).toBe(1);
  const started = answers.flatMap(({ data }) => data?.startTraining ?? []);
  expect(new Set(started.map(({ id }) => id)).size).toBe(1);
  expect(started.length).toBeGreaterThanOrEqual(24);
  expect(started.length).toBeLessThanOrEqual(26);
  for (const { errors } of answers)
    if (errors) expect(errors).toMatchObject([{ extensions: { code: 'CONFLICT', field: 'input.idempotencyKey' } }]);
});

it('the same key with another input is CONFLICT later too, and with the same one the run as it is by then', async () => {
  const { data } = await startFrom(platform.graphql, { idempotencyKey: 'later' });
  const { errors } = await startFrom(second, { idempotencyKey: 'later', epochs: 2 });
  expect(errors).toMatchObject([{ extensions: { code: 'CONFLICT', field: 'input.idempotencyKey' } }]);
  await ask(platform, 'mutation ($id: ID!) { cancelTraining(id: $id) { id } }', { id: data.startTraining.id });
  expect(await startFrom(second, { idempotencyKey: 'later' })).toMatchObject({
    data: { startTraining: { id: data.startTraining.id, status: 'CANCELLED' } },
  });
});

it('fifty at once without a key are fifty runs', async () => {
  const answers = await fifty(() => ({ tags: ['none'] }));
  expect(new Set(answers.map(({ data }) => data.startTraining.id)).size).toBe(50);
  expect(await runsTagged('none')).toBe(50);
});
