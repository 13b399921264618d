import { setTimeout as sleep } from 'node:timers/promises';
import type { TestPlatform } from './platform.js';
import { sendUpload } from './send-upload.js';
import { CLASS_NAMES, drawImages, encodeIdx, SIDE, type Images } from './shapes-data.js';

/** What a user does to get a run going, against a running platform. */

/* eslint-disable @typescript-eslint/no-explicit-any -- each test knows what it asked for */
export async function ask(
  platform: TestPlatform,
  query: string,
  variables: Record<string, unknown> = {},
): Promise<any> {
  const { data, errors } = await platform.graphql(query, variables);
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** Uploads the quarters as the data set `shapes` and waits until it is READY. */
export async function uploadShapes(platform: TestPlatform, trainImages = 203, testImages = 50): Promise<void> {
  await uploadIdx(platform, 'shapes', CLASS_NAMES, drawImages(trainImages, 1), drawImages(testImages, 2));
}

/** Uploads a data set and waits until it is READY. */
export async function uploadIdx(
  platform: TestPlatform,
  name: string,
  names: readonly string[],
  train: Images,
  test: Images,
): Promise<void> {
  const { createDataset } = await ask(
    platform,
    `mutation ($name: String!, $names: [String!]) {
      createDataset(input: { name: $name, format: IDX, classNames: $names }) {
        dataset { id } uploads { file url method headers }
      }
    }`,
    { name, names },
  );
  const splits = { train: encodeIdx(train), t10k: encodeIdx(test) };
  for (const target of createDataset.uploads) {
    const split = target.file.startsWith('train') ? splits.train : splits.t10k;
    await sendUpload(target, target.file.includes('images') ? split.images : split.labels);
  }
  await ask(platform, 'mutation ($id: ID!) { completeDataset(id: $id) { status } }', { id: createDataset.dataset.id });
  await until(async () => {
    const { dataset } = await ask(platform, 'query ($name: String!) { dataset(name: $name) { status problems } }', { name });
    if (dataset.status === 'INVALID') throw new Error(dataset.problems.join('; '));
    return dataset.status === 'READY';
  }, 30_000);
}

/** A network that learns the quarters in seconds. */
export async function defineTiny(platform: TestPlatform, name = 'tiny'): Promise<void> {
  await ask(platform, 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', {
    input: {
      name,
      architecture: {
        block: 'BASIC', stem: { kind: 'CONV3X3', width: 8 },
        stages: [{ blocks: 1, width: 8, stride: 1 }, { blocks: 1, width: 16, stride: 2 }],
      },
      inputShape: { height: SIDE, width: SIDE, channels: 1 },
      classNames: CLASS_NAMES,
    },
  }); // prettier-ignore
}

/** The id of a new run of `tiny` on `shapes`. */
export async function startTiny(platform: TestPlatform, more: Record<string, unknown> = {}): Promise<string> {
  const input = {
    model: 'tiny',
    dataset: 'shapes',
    epochs: 3,
    batchSize: 16,
    optimizer: { learningRate: 0.05 },
    precision: 'FLOAT32',
    ...more,
  };
  const { startTraining } = await ask(
    platform,
    'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id } }',
    { input },
  );
  return startTraining.id;
}

export async function readRun(platform: TestPlatform, id: string): Promise<any> {
  const { run } = await ask(platform, RUN, { id });
  return run;
}

const RUN = `query ($id: ID!) { run(id: $id) {
  id status engine precision worker progress epoch step totalSteps etaSeconds attempts failure queuePosition
  history { epoch trainLoss trainAccuracy validationLoss validationAccuracy learningRate imagesPerSecond seconds }
  steps(maxPoints: 2000) { step epoch loss accuracy learningRate imagesPerSecond }
  evaluation { loss accuracy top5Accuracy confusion perClass { className precision recall f1 support } }
  logs(first: 100) { nodes { at level message } }
  version { version artifacts { kind sha256 bytes downloadUrl } }
  createdAt startedAt finishedAt
} }`;

/** How far it is, for whoever asks again and again: curves and logs would keep the API busy while it trains. */
export async function glanceAtRun(platform: TestPlatform, id: string): Promise<any> {
  const { run } = await ask(platform, 'query ($id: ID!) { run(id: $id) { status step attempts } }', { id });
  return run;
}

/** The run as it is once it is over. */
export async function untilOver(platform: TestPlatform, id: string, timeoutMs = 60_000): Promise<any> {
  const isOver = async () => ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes((await glanceAtRun(platform, id)).status);
  await until(isOver, timeoutMs);
  return readRun(platform, id);
}

/** @throws where it does not come true in time. */
export async function until(holds: () => Promise<boolean>, timeoutMs: number, everyMs = 50): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`did not come true within ${timeoutMs} ms: ${holds}`);
    await sleep(everyMs);
  }
}
