import { beforeAll, describe, expect, it } from 'vitest';
import { graphTensors, isTrained } from '../../src/domain/network/graph.js';
import type { Batch, Engine, SessionOptions, TrainingSession } from '../../src/training/engine.js';
import { readRecipeGolden } from '../golden/recipe/recipe.js';
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

  describe("PyTorch's run with clipped gradients, mixed targets and averaged weights", () => {
    const golden = readRecipeGolden();

    const whole = effort.steps === golden.correct.length;
    it(`has its losses${whole ? ', hits, tensors and averages' : ' and hits'} over ${effort.steps} steps`, async () => {
      const session = await engine.open(golden.graph, golden.initial, golden.options);
      const expected = golden.tensor('losses').slice(0, effort.steps);
      const losses = new Float32Array(expected.length);
      for (let step = 0; step < losses.length; step++) {
        const { loss, correct } = await session.step(golden.batch(step), golden.learningRate);
        losses[step] = loss;
        expect(correct).toBe(golden.correct[step]);
      }
      expect(largestDifference(losses, expected)).toBeLessThan(1e-3);
      if (whole) {
        const [tensors, averages] = [await session.tensors(), (await session.averages())!];
        for (const [tensor, values] of tensors)
          expect(largestDifference(values, golden.tensor(`final.${tensor}`)), tensor).toBeLessThan(1e-3);
        for (const [tensor, values] of averages)
          expect(largestDifference(values, golden.tensor(`average.${tensor}`)), tensor).toBeLessThan(1e-3);
        const { images, size } = golden.batch(0);
        expect(largestDifference(await session.evaluate(images, size), golden.tensor('average.logits'))).toBeLessThan(1e-3);
      }
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

    it('gives every tensor of the graph, and first as it was given', async () => {
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
      const given = structuredClone([batch, network.initial]);
      await train(async (session) => {
        await session.step(batch, 0.05);
        await session.evaluate(batch.images, batch.size);
      }, network);
      expect([batch, network.initial]).toEqual(given);
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

    it('counts its steps in the optimizer state, beyond what a float32 counts, and takes the one number of old', async () => {
      const stepOf = async (session: TrainingSession) => [...(await session.optimizerState()).get('step')!];
      await train(async (session) => {
        expect(await stepOf(session)).toEqual([0, 0]);
        await lossesOf(session, 0, 2);
        expect(await stepOf(session)).toEqual([2, 0]);
        const [tensors, state] = [await session.tensors(), await session.optimizerState()];
        await session.restore(tensors, new Map(state).set('step', Float32Array.of(2)));
        expect(await stepOf(session)).toEqual([2, 0]);
        await session.restore(tensors, new Map(state).set('step', Float32Array.of(2 ** 24 - 1, 3)));
        await lossesOf(session, 2, 2);
        expect(await stepOf(session)).toEqual([1, 4]);
      }, network);
    });

    it('clips to a norm: a large one changes nothing, a small one holds the step back', async () => {
      const after = (clipNorm?: number) =>
        train(
          async (session) => {
            await lossesOf(session, 0, 1);
            return [await session.tensors(), await session.gradients()] as const;
          },
          network,
          { optimizer: { ...SGD, momentum: 0, weightDecay: 0, ...(clipNorm !== undefined && { clipNorm }) } },
        );
      const [free, loose, tight] = [await after(), await after(1e6), await after(0.01)];
      expect(loose).toEqual(free);
      const norm = Math.hypot(...[...tight[1].values()].flatMap((values) => [...values]));
      expect(norm).toBeCloseTo(0.01, 6);
      for (const [tensor, gradient] of tight[1]) {
        const moved = tight[0].get(tensor)!.map((value, i) => network.initial.get(tensor)![i]! - value);
        expect(largestDifference(moved, gradient.map((value) => 0.05 * value)), tensor).toBeLessThan(1e-6);
      }
    });

    it('takes a mix that keeps all of the first label as no mix, and says what is wrong with others', async () => {
      const batch = tinyBatch(0);
      const mix = { labels: batch.labels.map((label) => (label + 1) % 4), shares: new Float32Array(8).fill(1) };
      const outcome = (of: Batch) => train((session) => session.step(of, 0.05), network);
      const whole = await outcome(batch);
      expect((await outcome({ ...batch, mix })).loss).toBeCloseTo(whole.loss, 6);
      const swapped = { ...batch, labels: mix.labels, mix: { labels: batch.labels, shares: new Float32Array(8) } };
      const swappedOutcome = await outcome(swapped);
      expect(swappedOutcome.loss).toBeCloseTo(whole.loss, 6);
      expect(swappedOutcome.correct).toBe(whole.correct);
      await train(async (session) => {
        const refused = (wrong: Partial<typeof mix>) => expect(session.step({ ...batch, mix: { ...mix, ...wrong } }, 0.05)).rejects;
        await refused({ labels: mix.labels.subarray(1) }).toThrow(/7/);
        await refused({ labels: mix.labels.map(() => 4) }).toThrow(/4/);
        await refused({ shares: mix.shares.subarray(1) }).toThrow(/7/);
        await refused({ shares: mix.shares.map(() => 1.5) }).toThrow(/1\.5/);
        await refused({ shares: mix.shares.map(() => NaN) }).toThrow(/NaN/);
      }, network);
    });

    it('keeps averages that evaluate, and continues bit for bit from what they had come to', async () => {
      const averaging = { emaDecay: 0.9 };
      const { images, size } = tinyBatch(9);
      const logits = (session: TrainingSession) => session.evaluate(images, size);
      const straight = await train(
        async (session) => {
          expect(await session.averages()).toEqual(network.initial);
          const found = await lossesOf(session, 0, 6);
          return { found, logits: await logits(session), averages: await session.averages() };
        },
        network,
        averaging,
      );
      // Training does not know of them.
      expect(straight.found).toEqual(await train((session) => lossesOf(session, 0, 6), network));
      const published = { graph: network.graph, initial: straight.averages! };
      expect(largestDifference(await train(logits, published), straight.logits)).toBeLessThan(1e-5);
      const saved = await train(
        async (session) => {
          await lossesOf(session, 0, 3);
          return [await session.tensors(), await session.optimizerState(), await session.averages()] as const;
        },
        network,
        averaging,
      );
      await train(
        async (session) => {
          await expect(session.restore(saved[0], saved[1])).rejects.toThrow('conv1.weight');
          await session.restore(...saved);
          expect(await lossesOf(session, 3, 3)).toEqual(straight.found.slice(3));
          expect([await logits(session), await session.averages()]).toEqual([straight.logits, straight.averages]);
        },
        network,
        averaging,
      );
      expect(await train((session) => session.averages(), network)).toBeUndefined();
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
