import { beforeAll, describe, expect, it } from 'vitest';
import { graphTensors, isTrained } from '../../src/domain/network/graph.js';
import type { Engine, SessionOptions, TrainingSession } from '../../src/training/engine.js';
import { readTrainingGolden, type TrainingGolden } from '../golden/training/golden.js';
import { largestDifference } from '../golden/variants/variants.js';
import { EVERYTHING, OPTIONS, SGD, tinyBatch, tinyNetwork, type TinyNetwork } from './tiny.js';

/** How far PyTorch's optimizers are followed: TensorFlow.js takes a second for a step on its JavaScript backend. */
export interface Effort {
  readonly networks: readonly string[];
  /** At most 20. */
  readonly steps: number;
}

/** What every engine promises: `src/training/engine.ts` in tests. Float32 throughout. */
export function describeEngine(name: Engine['name'], createEngine: () => Engine | Promise<Engine>, effort: Effort): void {
  let engine: Engine;

  beforeAll(async () => {
    engine = await createEngine();
  });

  /** Opens, uses and closes a session. */
  async function train<T>(use: (session: TrainingSession) => Promise<T>, network: TinyNetwork, options: Partial<SessionOptions> = {}) {
    const session = await engine.open(network.graph, network.initial, { ...OPTIONS, ...options });
    try {
      return await use(session);
    } finally {
      await session.close();
    }
  }

  const open = (golden: TrainingGolden, optimizer: string) =>
    engine.open(golden.graph, golden.initial, {
      ...OPTIONS,
      batchSize: golden.batch(0).size,
      optimizer: golden.optimizers[optimizer]!,
      labelSmoothing: golden.labelSmoothing,
    });

  async function lossesOf(session: TrainingSession, first: number, count: number): Promise<number[]> {
    const losses: number[] = [];
    for (let step = first; step < first + count; step++) losses.push((await session.step(tinyBatch(step), 0.05)).loss);
    return losses;
  }

  it('says what it is and that it computes in float32', () => {
    expect(engine.name).toBe(name);
    expect(engine.device).not.toBe('');
    expect(engine.precisions).toContain('FLOAT32');
  });

  describe.each(['basic', 'bottleneck', 'pad'])("PyTorch's network %s", (file) => {
    const golden = readTrainingGolden(file);

    it('has its logits under running statistics', async () => {
      const session = await open(golden, 'sgd');
      const { images, size } = golden.batch(0);
      expect(largestDifference(await session.evaluate(images, size), golden.tensor('evaluation.logits'))).toBeLessThan(1e-4);
      await session.close();
    });

    it('has its loss, its gradients and its running statistics after a step', async () => {
      const session = await open(golden, 'sgd');
      const { loss } = await session.step(golden.batch(0), golden.optimizers['sgd']!.learningRate);
      expect(loss).toBeCloseTo(golden.tensor('step.loss')[0]!, 4);
      const [gradients, tensors] = [await session.gradients(), await session.tensors()];
      for (const spec of graphTensors(golden.graph)) {
        const [ours, theirs] = isTrained(spec)
          ? [gradients.get(spec.name)!, golden.tensor(`gradient.${spec.name}`)]
          : [tensors.get(spec.name)!, golden.tensor(`after.${spec.name}`)];
        const scale = Math.max(...theirs.map(Math.abs), 0.02);
        expect(largestDifference(ours, theirs) / scale, spec.name).toBeLessThan(1e-3);
      }
      await session.close();
    });

    const optimizers = effort.networks.includes(file) ? Object.keys(golden.optimizers) : [];
    it.each(optimizers)(`has the losses of ${effort.steps} steps with %s`, async (optimizer) => {
      const session = await open(golden, optimizer);
      const expected = golden.tensor(`losses.${optimizer}`).slice(0, effort.steps);
      const losses = new Float32Array(expected.length);
      for (let step = 0; step < losses.length; step++)
        losses[step] = (await session.step(golden.batch(step), golden.optimizers[optimizer]!.learningRate)).loss;
      expect(largestDifference(losses, expected)).toBeLessThan(1e-3 * Math.max(1, ...expected));
      await session.close();
    });
  });

  describe('a session', () => {
    const network = tinyNetwork();

    it('learns, and counts what it gets right', async () => {
      await train(async (session) => {
        const batch = tinyBatch(0);
        const first = await session.step(batch, 0.05);
        let last = first;
        for (let step = 0; step < 30; step++) last = await session.step(batch, 0.05);
        expect(last.loss).toBeLessThan(first.loss / 2);
        expect(last.correct).toBe(batch.size);
      }, network);
    });

    it('gives the same bits for the same start and batches', async () => {
      const once = () =>
        train(async (session) => ({ losses: await lossesOf(session, 0, 5), tensors: await session.tensors() }), network);
      expect(await once()).toEqual(await once());
    });

    it('gives every tensor of the graph, in order and size, and first as it was given', async () => {
      await train(async (session) => {
        const tensors = await session.tensors();
        const specs = graphTensors(network.graph);
        expect([...tensors.keys()].sort()).toEqual(specs.map(({ name: tensor }) => tensor).sort());
        for (const { name: tensor } of specs) expect(tensors.get(tensor), tensor).toEqual(network.initial.get(tensor));
      }, network);
    });

    it('gives copies: what is done to them does not reach the network', async () => {
      await train(async (session) => {
        const batch = tinyBatch(0);
        const before = await session.evaluate(batch.images, batch.size);
        for (const values of (await session.tensors()).values()) values.fill(0);
        expect(await session.evaluate(batch.images, batch.size)).toEqual(before);
      }, network);
    });

    it('leaves the arrays that it was given alone', async () => {
      const batch = tinyBatch(0);
      const [images, weight] = [batch.images.slice(), network.initial.get('conv1.weight')!.slice()];
      await train(async (session) => {
        await session.step(batch, 0.05);
        await session.evaluate(batch.images, batch.size);
      }, network);
      expect(batch.images).toEqual(images);
      expect(batch.labels).toHaveLength(batch.size);
      expect(network.initial.get('conv1.weight')).toEqual(weight);
    });

    it('evaluates without changing anything, fewer images as well as all', async () => {
      await train(async (session) => {
        await lossesOf(session, 0, 2);
        const before = await session.tensors();
        const { images, size } = tinyBatch(9);
        const all = await session.evaluate(images, size);
        const three = await session.evaluate(images.subarray(0, (3 * images.length) / size), 3);
        expect(largestDifference(three, all.slice(0, three.length))).toBeLessThan(1e-5);
        expect(await session.tensors()).toEqual(before);
      }, network);
    });

    it("takes an epoch's smaller last batch as a session of that size does", async () => {
      const batch = tinyBatch(0, 5);
      const [large, exact] = [8, 5].map((batchSize) =>
        train(async (session) => [await session.step(batch, 0.05), await session.tensors()] as const, network, { batchSize }),
      );
      const [[ours, tensors], [theirs, expected]] = [await large!, await exact!];
      expect(ours.loss).toBeCloseTo(theirs.loss, 5);
      expect(ours.correct).toBe(theirs.correct);
      for (const [tensor, values] of expected) expect(largestDifference(tensors.get(tensor)!, values), tensor).toBeLessThan(1e-4);
    });

    it.each([
      ['SGD with momentum', SGD],
      ['SGD without', { ...SGD, momentum: 0 }],
      ['Adam', { ...SGD, kind: 'ADAM' }],
      ['AdamW', { ...SGD, kind: 'ADAMW' }],
    ] as const)('continues bit for bit from what %s had come to', async (_, optimizer) => {
      const straight = await train((session) => lossesOf(session, 0, 6), network, { optimizer });
      const saved = await train(
        async (session) => {
          await lossesOf(session, 0, 3);
          return [await session.tensors(), await session.optimizerState()] as const;
        },
        network,
        { optimizer },
      );
      const resumed = await train(
        async (session) => {
          await session.restore(...saved);
          return lossesOf(session, 3, 3);
        },
        network,
        { optimizer },
      );
      expect(resumed).toEqual(straight.slice(3));
    });

    it('draws its drop masks from the seed and the step: again, resumed, and otherwise for another seed', async () => {
      const dropping = tinyNetwork(EVERYTHING);
      const straight = await train((session) => lossesOf(session, 0, 5), dropping);
      const saved = await train(
        async (session) => {
          expect(await lossesOf(session, 0, 2)).toEqual(straight.slice(0, 2));
          return [await session.tensors(), await session.optimizerState()] as const;
        },
        dropping,
      );
      const resumed = await train(
        async (session) => {
          await session.restore(...saved);
          return lossesOf(session, 2, 3);
        },
        dropping,
      );
      expect(resumed).toEqual(straight.slice(2));
      const [first] = await train((session) => lossesOf(session, 0, 1), dropping, { seed: OPTIONS.seed + 1 });
      expect(first).not.toBe(straight[0]);
    });

    it('drops nothing in evaluation', async () => {
      const { images, size } = tinyBatch(0);
      const logitsOf = ({ graph }: TinyNetwork) =>
        train((session) => session.evaluate(images, size), { graph, initial: network.initial });
      expect(await logitsOf(tinyNetwork({ dropPath: 0.5, dropout: 0.5 }))).toEqual(await logitsOf(network));
    });

    it('counts its steps in the optimizer state', async () => {
      await train(async (session) => {
        expect([...(await session.optimizerState()).get('step')!]).toEqual([0]);
        await lossesOf(session, 0, 2);
        expect([...(await session.optimizerState()).get('step')!]).toEqual([2]);
      }, network);
    });

    it('does not share anything with another', async () => {
      const alone = await train((session) => lossesOf(session, 0, 3), network);
      const beside = await train(
        (session) =>
          train(async (other) => {
            const losses: number[] = [];
            for (let step = 0; step < 3; step++) {
              await other.step(tinyBatch(100 + step), 0.1);
              losses.push((await session.step(tinyBatch(step), 0.05)).loss);
            }
            return losses;
          }, network),
        network,
      );
      expect(beside).toEqual(alone);
    });

    it('computes off the event loop', async () => {
      await train(async (session) => {
        let turns = 0;
        const timer = setInterval(() => turns++, 1);
        const started = performance.now();
        for (let step = 0; performance.now() - started < 200; step++) await session.step(tinyBatch(step), 0.05);
        clearInterval(timer);
        expect(turns).toBeGreaterThan(10);
      }, network);
    });

    it('closes twice, and takes nothing afterwards', async () => {
      const session = await engine.open(network.graph, network.initial, OPTIONS);
      await session.close();
      await session.close();
      await expect(session.step(tinyBatch(0), 0.05)).rejects.toThrow();
      await expect(session.tensors()).rejects.toThrow();
    });

    it('says what is wrong with a batch, and goes on', async () => {
      const batch = tinyBatch(0);
      await train(async (session) => {
        await expect(session.step(tinyBatch(0, 9), 0.05)).rejects.toThrow(/8/);
        await expect(session.step({ ...batch, size: 0 }, 0.05)).rejects.toThrow(/0/);
        await expect(session.step({ ...batch, images: batch.images.subarray(1) }, 0.05)).rejects.toThrow(/1535/);
        await expect(session.step({ ...batch, labels: batch.labels.subarray(1) }, 0.05)).rejects.toThrow(/7/);
        await expect(session.step({ ...batch, labels: batch.labels.map(() => 4) }, 0.05)).rejects.toThrow(/4/);
        await expect(session.evaluate(batch.images, 7)).rejects.toThrow();
        expect((await session.step(batch, 0.05)).loss).toBeGreaterThan(0);
      }, network);
    });

    it('says which tensor is missing or misshapen at the start or when restored, and then changes nothing', async () => {
      const without = new Map(network.initial);
      without.delete('layer1.0.conv1.weight');
      await expect(engine.open(network.graph, without, OPTIONS)).rejects.toThrow('layer1.0.conv1.weight');
      const misshapen = new Map(network.initial).set('fc.bias', new Float32Array(3));
      await expect(engine.open(network.graph, misshapen, OPTIONS)).rejects.toThrow('fc.bias');
      await train(async (session) => {
        await lossesOf(session, 0, 1);
        const [tensors, state] = [await session.tensors(), await session.optimizerState()];
        await expect(session.restore(without, state)).rejects.toThrow('layer1.0.conv1.weight');
        await expect(session.restore(network.initial, new Map())).rejects.toThrow('step');
        const stateless = new Map(state);
        stateless.delete('momentum.fc.weight');
        await expect(session.restore(network.initial, stateless)).rejects.toThrow('momentum.fc.weight');
        expect([await session.tensors(), await session.optimizerState()]).toEqual([tensors, state]);
      }, network);
    });
  });
}
