import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { CLASS_NAMES, drawImages, SIDE } from '../helpers/shapes-data.js';
import { ask, defineTiny, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- the answers of queries */
let platform: TestPlatform;
let database: Database;
/** Trained too little to be without mistakes. */
let id: string;
beforeAll(async () => {
  platform = await startPlatform({ workers: ['train', 'datasets', 'quantize'], env: { TRAINING_THREADS: '1' } });
  database = connectDatabase(platform.env['DATABASE_URL']!);
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
  id = await startTiny(platform, { epochs: 1, optimizer: { learningRate: 0.002 }, quantize: true });
  await untilOver(platform, id);
});
afterAll(async () => {
  await database?.$disconnect();
  await platform?.stop();
});

const MISTAKES = 'confusion mistakes { index label className predicted predictedClassName probability png }';
const RUN = `query ($id: ID!) { run(id: $id) {
  evaluation { ${MISTAKES} }
  version { evaluation { ${MISTAKES} } quantization { status evaluation { ${MISTAKES} } } }
} }`;
const read = async () => (await ask(platform, RUN, { id })).run;

function expectMistakes({ confusion, mistakes }: any): void {
  const made = confusion.flatMap((row: number[], label: number) => row.filter((_, other) => other !== label));
  expect(mistakes).toHaveLength(Math.min(25, made.reduce((sum: number, count: number) => sum + count, 0)));
  expect(mistakes.length).toBeGreaterThan(3);
  const { labels } = drawImages(50, 2);
  for (const { index, label, className, predicted, predictedClassName } of mistakes) {
    expect([label, className, predictedClassName]).toEqual([labels[index], CLASS_NAMES[label], CLASS_NAMES[predicted]]);
    expect(confusion[label][predicted]).toBeGreaterThan(0);
  }
  const confidences = mistakes.map(({ probability }: any) => probability);
  expect(confidences).toEqual(confidences.toSorted((a: number, b: number) => b - a));
}

describe("an evaluation's mistakes", () => {
  it('are images of the TEST split by their place in it, with their pictures, the most confident first', async () => {
    const { evaluation, version } = await read();
    expectMistakes(evaluation);
    expect(version.evaluation).toEqual(evaluation);
    const { pixels } = drawImages(50, 2);
    for (const { index, png } of evaluation.mistakes.slice(0, 3)) {
      const drawn = await sharp(Buffer.from(png, 'base64')).toColourspace('b-w').raw().toBuffer();
      expect(drawn).toEqual(Buffer.from(pixels.subarray(index * SIDE * SIDE, (index + 1) * SIDE * SIDE)));
    }
  });

  it('are those of the quantised network in its own evaluation, without pictures once the data set is gone', async () => {
    await until(async () => (await read()).version.quantization.status === 'SUCCEEDED', 30_000);
    const { evaluation } = (await read()).version.quantization;
    expectMistakes(evaluation);
    expect(evaluation.mistakes[0].png).not.toBeNull();
    await database.quantization.updateMany({ data: { datasetId: null } });
    const gone = (await read()).version.quantization.evaluation.mistakes;
    expect(gone).toEqual(evaluation.mistakes.map((mistake: any) => ({ ...mistake, png: null })));
  });

  it('are null where the evaluation is older than they are', async () => {
    await database.$executeRaw`UPDATE "TrainingRun" SET evaluation = evaluation - 'mistakes'`;
    const { evaluation } = await read();
    expect(evaluation.mistakes).toBeNull();
    expect(evaluation.confusion).toHaveLength(CLASS_NAMES.length);
  });
});
