import type { Worker } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterEach, describe, expect, it } from 'vitest';
import { normalisationTables, writeNormalised } from '../../../src/domain/normalisation.js';
import { initialTensors } from '../../../src/domain/network/initialise.js';
import { buildGraph } from '../../../src/domain/network/layers.js';
import { normaliseNetwork } from '../../../src/domain/network/normalise.js';
import { encodeOnnx } from '../../../src/formats/onnx.js';
import { Session, SessionLostError } from '../../../src/serving/session.js';

const definition = normaliseNetwork({ preset: 'RESNET20', inputShape: { height: 32, width: 32, channels: 3 }, numClasses: 10 });
const graph = buildGraph(definition);
const classNames = Array.from({ length: 10 }, (_, index) => `class ${index}`);
const makeOnnx = () =>
  encodeOnnx(graph, initialTensors(graph, definition, 1), { classNames, mean: [0, 0, 0], std: [1, 1, 1] });
const makeImages = (size: number) =>
  Float32Array.from({ length: size * 3072 }, (_, index) => Math.sin(index * 0.37) + Math.cos(index * 0.011));

/** Ten probabilities and a map of 8x8. */
const ROW = 74;

const opened: Session[] = [];
async function open(onnx = makeOnnx()): Promise<Session> {
  const session = await Session.open(onnx, { threads: 1 });
  opened.push(session);
  return session;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((session) => session.release()));
});

describe('an inference session', () => {
  it("gives each image's probabilities and its map as onnxruntime gives them, for any batch size", async () => {
    const session = await open();
    expect(session.mapShape).toEqual([8, 8]);
    const direct = await InferenceSession.create(makeOnnx());
    for (const size of [1, 7, 3]) {
      const expected = await direct.run({ input: new Tensor('float32', makeImages(size), [size, 3, 32, 32]) });
      const rows = await session.run(makeImages(size), size);
      expect(rows).toHaveLength(size * ROW);
      const [probabilities, maps] = ['probabilities', 'class_activation_map'].map((name) => expected[name]!.data as Float32Array);
      const difference = rows.map((value, index) => {
        const [image, column] = [Math.floor(index / ROW), index % ROW];
        return Math.abs(value - (column < 10 ? probabilities![image * 10 + column]! : maps![image * 64 + column - 10]!));
      });
      expect(Math.max(...difference)).toBeLessThan(1e-5);
    }
    await direct.release();
  });

  it('normalises pixels, in batches of several parts of both kinds, and takes views of larger buffers', async () => {
    const tables = normalisationTables({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] });
    const session = await Session.open(makeOnnx(), { threads: 1, tables });
    opened.push(session);
    const pixels = Uint8Array.from({ length: 4 * 3072 }, (_, index) => 128 + 100 * Math.sin(index ** 1.5));
    const images = new Float32Array(pixels.length);
    for (let at = 0; at < pixels.length; at += 3072)
      writeNormalised(pixels.subarray(at, at + 3072), images.subarray(at, at + 3072), tables);
    const expected = await session.run(images.slice(), 4);
    expect(new Set(expected).size).toBeGreaterThan(2 * ROW);
    expect(await session.run(pixels.slice(), 4)).toEqual(expected);
    const part = (first: number, end: number) => [first * 3072, end * 3072] as const;
    const parts = [pixels.subarray(...part(0, 1)), images.subarray(...part(1, 3)), pixels.slice(...part(3, 4))];
    expect(await session.run(parts, 4)).toEqual(expected);
    expect(pixels).toHaveLength(4 * 3072);
    const without = await open();
    await expect(without.run(pixels, 4)).rejects.toThrow(/pixels need the tables/);
  });

  it('gives another output than the probabilities alone, without maps', async () => {
    const session = await Session.open(makeOnnx(), { threads: 1, output: 'logits' });
    opened.push(session);
    expect(session.mapShape).toBeNull();
    const direct = await InferenceSession.create(makeOnnx());
    const { logits } = await direct.run({ input: new Tensor('float32', makeImages(2), [2, 3, 32, 32]) });
    await direct.release();
    const expected = [...(logits!.data as Float32Array)].map((logit) => expect.closeTo(logit, 4) as number);
    expect([...(await session.run(makeImages(2), 2))]).toEqual(expected);
  });

  it('leaves the event loop free while it computes', async () => {
    const session = await open();
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await session.run(makeImages(512), 512);
    clearInterval(timer);
    // On the calling thread it would be one or two; here it is some 200, fewer where the machine is busy.
    expect(ticks).toBeGreaterThan(5);
  });

  it('runs requests in their order and answers each with its own result', async () => {
    const session = await open();
    const images = [0, 1, 2].map((shift) => makeImages(1).map((value) => value * (shift + 1)));
    const alone = [];
    for (const image of images) alone.push([...(await session.run(image.slice(), 1))]);
    const together = await Promise.all(images.map((image) => session.run(image.slice(), 1)));
    expect(together.map((output) => [...output])).toEqual(alone);
  });

  it('refuses a file that is no model, and leaves no thread behind', async () => {
    const threads: Worker[] = [];
    const note = (thread: Worker) => void threads.push(thread);
    process.on('worker', note);
    await expect(open(new TextEncoder().encode('this is no model'))).rejects.toThrow(/onnxruntime: /);
    process.off('worker', note);
    // What a thread that has ended has for an id.
    await expect.poll(() => threads.map(({ threadId }) => threadId), { timeout: 10_000 }).toEqual([-1]);
  });

  it('tells a run of what it cannot compute and goes on', async () => {
    const session = await open();
    await expect(session.run(new Float32Array(5), 1)).rejects.toThrow(/onnxruntime: /);
    expect(await session.run(makeImages(1), 1)).toHaveLength(ROW);
  });

  it('answers what it has taken before it is released, and nothing afterwards', async () => {
    const session = await open();
    const running = session.run(makeImages(8), 8);
    await Promise.all([session.release(), session.release()]);
    expect(await running).toHaveLength(8 * ROW);
    await expect(session.run(makeImages(1), 1)).rejects.toThrow(SessionLostError);
  });

  it('does not touch the rest of a buffer of which the images are a part', async () => {
    const session = await open();
    const all = makeImages(2);
    const first = all.subarray(0, 3072);
    await session.run(first, 1);
    expect(all).toEqual(makeImages(2));
  });
});
