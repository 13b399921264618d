import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeModel, encodeModel } from '../../src/formats/onnx-schema.js';
import { connectDatabase } from '../../src/infra/database.js';
import { HEAT_OPACITY } from '../../src/infra/heat-map.js';
import { INFERNO } from '../../src/infra/inferno.js';
import { createObjectStore } from '../../src/infra/objects.js';
import { publishVersion } from '../../src/registry/publish-version.js';
import { resolveVersion } from '../../src/registry/resolve.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { ask, startTiny, untilOver, uploadIdx } from '../helpers/training.js';
import { drawTextures, TEXTURE_NAMES, TEXTURE_SIDE } from '../helpers/textures-data.js';

/** `predict(explain: true)`, of a network that was trained to know a patch wherever it is. */

let platform: TestPlatform;
const seen = drawTextures(60, 3);

beforeAll(async () => {
  platform = await startPlatform({ workers: ['train', 'datasets'] });
  await uploadIdx(platform, 'textures', TEXTURE_NAMES, drawTextures(600, 1), drawTextures(60, 2));
  await ask(platform, 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', {
    input: {
      name: 'textures',
      architecture: {
        block: 'BASIC', stem: { kind: 'CONV3X3', width: 8 },
        stages: [{ blocks: 1, width: 8, stride: 1 }, { blocks: 1, width: 16, stride: 2 }],
      },
      inputShape: { height: TEXTURE_SIDE, width: TEXTURE_SIDE, channels: 1 },
      classNames: TEXTURE_NAMES,
    },
  }); // prettier-ignore
  const run = await untilOver(platform, await startTiny(platform, { model: 'textures', dataset: 'textures', epochs: 5 }));
  expect(run).toMatchObject({ status: 'SUCCEEDED', failure: null });
  expect(run.evaluation.accuracy).toBeGreaterThan(0.95);
  // Requests that come together share a batch, however quick the machine is with one.
  await ask(platform, 'mutation { configureServing(model: "textures", input: { maxDelayMs: 100 }) { maxDelayMs } }');
});

afterAll(() => platform.stop());

const PREDICT = `query ($input: PredictInput!) { predict(input: $input) {
  batchSize predictions { top { index probability } explanation }
} }`;

async function predict(images: readonly Buffer[], more: Record<string, unknown> = {}) {
  const input = { model: 'textures', images: images.map((image) => image.toString('base64')), topK: 1, ...more };
  return (await ask(platform, PREDICT, { input })).predict as {
    batchSize: number;
    predictions: { top: { index: number; probability: number }[]; explanation: string | null }[];
  };
}

function pixelsOf(index: number): Uint8Array {
  return seen.pixels.subarray(index * TEXTURE_SIDE ** 2, (index + 1) * TEXTURE_SIDE ** 2);
}

const pngOf = (index: number) =>
  sharp(pixelsOf(index), { raw: { height: TEXTURE_SIDE, width: TEXTURE_SIDE, channels: 1 } }).png().toBuffer();

/** The heat, 0 to 255, that was laid over a grey image of the same size. */
async function heatOf(png: string, image: Uint8Array): Promise<number[]> {
  const { data, info } = await sharp(Buffer.from(png, 'base64')).raw().toBuffer({ resolveWithObject: true });
  expect(info).toMatchObject({ width: TEXTURE_SIDE, height: TEXTURE_SIDE, channels: 3 });
  return [...image].map((grey, place) => {
    const colour = [0, 1, 2].map((channel) => (data[place * 3 + channel]! - (1 - HEAT_OPACITY) * grey) / HEAT_OPACITY);
    const distances = Array.from({ length: 256 }, (_, level) =>
      colour.reduce((sum, value, channel) => sum + (value - INFERNO[level * 3 + channel]!) ** 2, 0),
    );
    return distances.indexOf(Math.min(...distances));
  });
}

function quarterOfCentre(heat: number[]): number {
  const total = heat.reduce((sum, value) => sum + value, 0);
  const mean = (coordinate: (place: number) => number) =>
    heat.reduce((sum, value, place) => sum + value * (coordinate(place) + 0.5), 0) / total;
  const x = mean((place) => place % TEXTURE_SIDE);
  const y = mean((place) => Math.floor(place / TEXTURE_SIDE));
  return (y > TEXTURE_SIDE / 2 ? 2 : 0) + (x > TEXTURE_SIDE / 2 ? 1 : 0);
}

describe('an explanation', () => {
  it("has its heat's centre of mass in the quarter where the object is, on 90 % of images or more", async () => {
    const images = await Promise.all(Array.from(seen.labels, (_, index) => pngOf(index)));
    const { predictions } = await predict(images, { explain: true });
    const heats = await Promise.all(predictions.map(({ explanation }, index) => heatOf(explanation!, pixelsOf(index))));
    for (const heat of heats) expect(Math.max(...heat) - Math.min(...heat)).toBeGreaterThan(220);
    const right = heats.filter((heat, index) => quarterOfCentre(heat) === seen.quarters[index]).length;
    expect(right / images.length).toBeGreaterThanOrEqual(0.9);
  });

  it('is in the resolution of the image, of the part that the network saw, with sides of at most 512', async () => {
    const sizeFor = async (width: number, height: number) => {
      const image = await sharp(await pngOf(0)).resize(width, height, { fit: 'fill' }).jpeg().toBuffer();
      const [prediction] = (await predict([image], { explain: true })).predictions;
      const { format, width: drawnWidth, height: drawnHeight } = await sharp(Buffer.from(prediction!.explanation!, 'base64')).metadata();
      return [format, drawnWidth, drawnHeight];
    };
    expect(await sizeFor(200, 100)).toEqual(['png', 100, 100]);
    expect(await sizeFor(640, 900)).toEqual(['png', 512, 512]);
    expect(await sizeFor(9, 9)).toEqual(['png', 16, 16]);
  });

  it('shares batches with requests that ask for none, and each gets its own', async () => {
    const images = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(pngOf));
    const alone = await Promise.all(images.map(async (image) => (await predict([image], { explain: true })).predictions[0]!));
    const answers = await Promise.all(
      Array.from({ length: 48 }, (_, request) => predict([images[request % 8]!], { explain: request % 2 === 0 })),
    );
    expect(Math.max(...answers.map(({ batchSize }) => batchSize))).toBeGreaterThan(1);
    for (const [request, { predictions }] of answers.entries()) {
      const { top, explanation } = alone[request % 8]!;
      expect(predictions[0]!.top[0]).toEqual({ ...top[0]!, probability: expect.closeTo(top[0]!.probability, 5) });
      if (request % 2 === 1) expect(predictions[0]!.explanation).toBeNull();
      else {
        const quarterIn = async (png: string) => quarterOfCentre(await heatOf(png, pixelsOf(request % 8)));
        expect(await quarterIn(predictions[0]!.explanation!)).toBe(await quarterIn(explanation!));
      }
    }
  });

  it('counts as pending until it is drawn, so that what waits to be drawn is bounded too', async () => {
    const image = await sharp(await pngOf(0)).resize(512, 512, { fit: 'fill' }).png().toBuffer();
    let answered = false;
    const answer = predict(Array<Buffer>(64).fill(image), { explain: true }).finally(() => (answered = true));
    const pending: number[] = [];
    while (!answered) pending.push((await ask(platform, '{ servingStats { pendingImages } }')).servingStats.pendingImages);
    await answer;
    // Drawing takes most of the time.
    expect(pending.toSorted((a, b) => a - b)[Math.floor(pending.length / 2)]).toBe(64);
    expect((await ask(platform, '{ servingStats { pendingImages } }')).servingStats.pendingImages).toBe(0);
  });

  it('is refused with what to do for a version whose file has no maps, which predicts as ever', async () => {
    const database = connectDatabase(platform.env['DATABASE_URL']!);
    const { S3_ENDPOINT: endpoint, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey, S3_BUCKET: bucket } = platform.env;
    const objects = createObjectStore({
      endpoint: endpoint!, publicEndpoint: endpoint!, accessKey: accessKey!, secretKey: secretKey!, bucket: bucket!, region: 'us-east-1',
    }); // prettier-ignore
    const version = await resolveVersion({ database }, 'textures:1');
    const model = decodeModel(await objects.get(version.artifacts.find(({ kind }) => kind === 'ONNX')!.sha256));
    const without = <T>(parts: readonly T[], name: (part: T) => string) =>
      parts.filter((part) => !name(part).startsWith('class_activation_map'));
    const old = encodeModel({
      ...model,
      graph: {
        ...model.graph,
        node: without(model.graph.node, (node) => node.output[0]!),
        initializer: without(model.graph.initializer, ({ name }) => name),
        output: without(model.graph.output, ({ name }) => name),
      },
    });
    const object = await objects.putBytes(old);
    await publishVersion(database, {
      runId: null, modelId: version.modelId, definition: version.definition as never, classNames: version.classNames,
      mean: version.channelMean, std: version.channelStd, evaluation: null, artifacts: [{ kind: 'ONNX', ...object }],
    }); // prettier-ignore
    await database.$disconnect();

    const image = await pngOf(0);
    const [expected, got] = [await predict([image], { model: 'textures:1' }), await predict([image], { model: 'textures:2' })];
    expect(got.predictions[0]!.top[0]!.probability).toBeCloseTo(expected.predictions[0]!.top[0]!.probability, 5);
    const { errors } = await platform.graphql(PREDICT, {
      input: { model: 'textures:2', images: [image.toString('base64')], explain: true },
    });
    expect(errors![0]).toMatchObject({
      message: expect.stringMatching(/^textures:2 has no class activation map.*train or import it again/),
      extensions: { code: 'BAD_USER_INPUT', field: 'input.explain' },
    });
  });
});
