import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { initialTensors } from '../../../src/domain/network/initialise.js';
import { buildGraph } from '../../../src/domain/network/layers.js';
import { normaliseNetwork } from '../../../src/domain/network/normalise.js';
import { normalisePlan, type PlanInput } from '../../../src/domain/plan.js';
import { encodeSafetensors, readSafetensorsIndex } from '../../../src/formats/safetensors.js';
import { decodeStateDict, encodeStateDict } from '../../../src/formats/state-dict.js';
import {
  fingerprint,
  ForeignCheckpointError,
  packCheckpoint,
  unpackCheckpoint,
  type Checkpoint,
} from '../../../src/training/checkpoint.js';
import type { Engine } from '../../../src/training/engine.js';
import { createOneDnnEngine } from '../../../src/training/engines/onednn.js';
import { EngineSet } from '../../../src/training/select-engine.js';
import {
  train,
  type EpochMetrics,
  type StepMetrics,
  type TrainingResult,
  type TrainingSink,
  type TrainingTask,
} from '../../../src/training/train.js';
import { CLASS_NAMES, dataSource, drawImages, SIDE } from '../../helpers/shapes-data.js';

const definition = normaliseNetwork({
  architecture: {
    block: 'BASIC', stem: { kind: 'CONV3X3', width: 8 },
    stages: [{ blocks: 1, width: 8, stride: 1 }, { blocks: 1, width: 16, stride: 2 }],
  },
  inputShape: { height: SIDE, width: SIDE, channels: 1 },
  numClasses: CLASS_NAMES.length,
}); // prettier-ignore
const graph = buildGraph(definition);
const data = dataSource({ TRAIN: drawImages(203, 1), TEST: drawImages(50, 2) });
const engine = createOneDnnEngine({ threads: 1 });
const recipe: PlanInput = {
  epochs: 3,
  batchSize: 16,
  optimizer: { learningRate: 0.05 },
  schedule: { kind: 'ONE_CYCLE' },
  augmentation: { cropPadding: 1 },
  labelSmoothing: 0.1,
  seed: 7,
};
const STEPS_PER_EPOCH = 13;

interface Story {
  steps: Omit<StepMetrics, 'imagesPerSecond'>[];
  epochs: Omit<EpochMetrics, 'imagesPerSecond' | 'seconds'>[];
  checkpoints: Checkpoint[];
}
const emptyStory = (): Story => ({ steps: [], epochs: [], checkpoints: [] });

/** `pauseAfter`: at which step of the whole run the loop is asked to pause, or at which batch that it evaluates. */
async function run(
  input: PlanInput,
  {
    story = emptyStory(),
    resumeFrom,
    pauseAfter,
    pauseInEvaluation,
    ...more
  }: {
    story?: Story;
    resumeFrom?: Checkpoint | undefined;
    pauseAfter?: number | undefined;
    pauseInEvaluation?: number | undefined;
  } & Pick<TrainingTask, 'checkpointEverySteps' | 'pauseAfterEpoch'> = {},
): Promise<TrainingResult> {
  const plan = normalisePlan(input);
  const pause = new AbortController();
  const sink: TrainingSink = {
    onStep: ({ imagesPerSecond, ...step }) => {
      expect(imagesPerSecond).toBeGreaterThan(0);
      story.steps.push(step);
      if (step.step === pauseAfter) pause.abort();
    },
    onEpoch: async ({ imagesPerSecond, seconds, ...epoch }) => {
      expect(imagesPerSecond * seconds).toBeGreaterThan(0);
      story.epochs.push(epoch);
    },
    onCheckpoint: async (checkpoint) => void story.checkpoints.push(stored(checkpoint, input)),
  };
  const opened: Engine = {
    ...engine,
    open: async (...args) => {
      const session = await engine.open(...args);
      let evaluations = 0;
      return Object.assign(Object.create(session) as typeof session, {
        evaluate: (images: Float32Array, size: number) => {
          if (++evaluations === pauseInEvaluation) pause.abort();
          return session.evaluate(images, size);
        },
      });
    },
  };
  const task = {
    plan, graph, data, resumeFrom, ...more, engine: opened,
    classNames: CLASS_NAMES,
    initial: initialTensors(graph, definition, plan.seed),
    normalisation: { mean: [0.4], std: [0.3] },
    precision: 'FLOAT32' as const,
  }; // prettier-ignore
  return train(task, sink, { stop: new AbortController().signal, pause: pause.signal });
}

/** As it comes back from its file. */
function stored(checkpoint: Checkpoint, input: PlanInput): Checkpoint {
  const mark = fingerprint(normalisePlan(input), graph);
  const { tensors, metadata } = packCheckpoint(checkpoint, mark);
  const bytes = encodeSafetensors(tensors, metadata);
  return unpackCheckpoint(decodeStateDict(bytes), readSafetensorsIndex(bytes).metadata, mark);
}

function weightsHash(result: TrainingResult): string {
  if (result.outcome !== 'finished') throw new Error('the run was paused');
  return createHash('sha256')
    .update(encodeStateDict(graph, result.tensors, result.step))
    .digest('hex');
}

describe('the training loop', () => {
  it('learns, tells of every step and epoch in order, and ends with the evaluation of the last epoch', async () => {
    const story = emptyStory();
    const result = await run(recipe, { story });
    expect(result).toMatchObject({ outcome: 'finished', step: 3 * STEPS_PER_EPOCH });
    if (result.outcome !== 'finished') return;
    expect(story.steps.map(({ step }) => step)).toEqual(Array.from({ length: 39 }, (_, index) => index + 1));
    expect(story.steps.map(({ images }) => images).slice(0, 13)).toEqual([...Array(12).fill(16), 203 - 12 * 16]);
    expect(story.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect(result.evaluation.accuracy).toBeGreaterThan(0.9);
    expect(story.epochs[2]).toMatchObject({
      validationLoss: result.evaluation.loss,
      validationAccuracy: result.evaluation.accuracy,
    });
    const first = story.steps.slice(0, 13);
    const mean = first.reduce((sum, { loss, images }) => sum + loss * images, 0) / 203;
    expect(story.epochs[0]!.trainLoss).toBeCloseTo(mean, 9);
  });

  it('ends with the same weights bit for bit each time, and others for another seed', async () => {
    const [one, two, other] = [await run(recipe), await run(recipe), await run({ ...recipe, seed: 8 })].map(
      weightsHash,
    );
    expect(two).toBe(one);
    expect(other).not.toBe(one);
  });

  it.each(['SGD', 'ADAM', 'ADAMW'] as const)(
    'paused at any steps, stored, and resumed elsewhere, ends bit for bit as if left alone: %s',
    async (kind) => {
      const input = { ...recipe, optimizer: { kind, learningRate: kind === 'SGD' ? 0.05 : 0.003 } };
      const alone = emptyStory();
      const expected = weightsHash(await run(input, { story: alone }));
      // Within an epoch, after an epoch's last step, before the first step of one, and twice in one epoch.
      for (const pauses of [[5], [13], [14], [1, 2, 20, 38, 39]]) {
        const story = emptyStory();
        for (const pauseAfter of pauses)
          expect(await run(input, { story, resumeFrom: story.checkpoints.at(-1), pauseAfter })).toEqual({
            outcome: 'paused',
          });
        const result = await run(input, { story, resumeFrom: story.checkpoints.at(-1) });
        expect(weightsHash(result), `pauses ${pauses}`).toBe(expected);
        expect(story.steps).toEqual(alone.steps);
        expect(story.epochs).toEqual(alone.epochs);
      }
    },
  );

  it.each([
    ['SGD', { mixup: 0.4, cutmix: 1, cropPadding: 1, randomErasing: 0.3 }],
    ['ADAMW', { mixup: 0.2, randomResizedCrop: true, horizontalFlip: true }],
  ] as const)(
    'with averages, clipping, early stopping, mixtures and a held-out part ends bit for bit as if left alone: %s',
    async (kind, augmentation) => {
      const input: PlanInput = {
        ...recipe,
        epochs: 5,
        optimizer: { kind, learningRate: kind === 'SGD' ? 0.05 : 0.003, clipNorm: 0.5 },
        schedule: { kind: 'COSINE' },
        augmentation,
        emaDecay: 0.95,
        // Never reached, but its state decides.
        earlyStopping: { metric: 'VALIDATION_LOSS', patience: 4, minDelta: 0.01 },
        validationFraction: 0.2,
      };
      const alone = emptyStory();
      const left = await run(input, { story: alone });
      const expected = weightsHash(left);
      const stepsPerEpoch = 11; // 203 - 41 images
      expect(alone.steps).toHaveLength(5 * stepsPerEpoch);
      // Within an epoch; after its last step, before it validates; within validation; before the first step of one;
      // after the run's last step.
      for (const pauses of [[{ step: 4 }], [{ step: 11 }], [{ evaluation: 2 }], [{ step: 12 }, { evaluation: 1 }, { step: 55 }]]) {
        const story = emptyStory();
        for (const pause of pauses)
          expect(
            await run(input, { story, resumeFrom: story.checkpoints.at(-1), pauseAfter: pause.step, pauseInEvaluation: pause.evaluation }),
          ).toEqual({ outcome: 'paused' });
        const result = await run(input, { story, resumeFrom: story.checkpoints.at(-1) });
        expect(weightsHash(result), JSON.stringify(pauses)).toBe(expected);
        expect(result).toEqual(left);
        expect(story.steps).toEqual(alone.steps);
        expect(story.epochs).toEqual(alone.epochs);
        expect(story.checkpoints.at(-1)).toEqual({ ...alone.checkpoints.at(-1), position: expect.anything() });
      }
      // Killed at any moment: what its last checkpoint holds, in memory of nothing else.
      const killed = emptyStory();
      await run(input, { story: killed, checkpointEverySteps: 3 });
      for (const resumeFrom of killed.checkpoints.filter((_, index) => index % 4 === 1)) {
        const result = await run(input, { resumeFrom });
        expect(weightsHash(result), `from step ${resumeFrom.step}`).toBe(expected);
        expect(result).toEqual(left);
      }
    },
  );

  it('validates on the part of TRAIN that it holds out, evaluates on TEST, and publishes the averages', async () => {
    const input: PlanInput = { ...recipe, emaDecay: 0.9, validationFraction: 0.2 };
    const story = emptyStory();
    const result = await run(input, { story });
    if (result.outcome !== 'finished') throw new Error('paused');
    expect(story.steps.slice(0, 11).map(({ images }) => images)).toEqual([...Array(10).fill(16), 2]);
    const support = result.evaluation.perClass.reduce((sum, { support: images }) => sum + images, 0);
    expect(support).toBe(50);
    // A share of 41 images, which no share of 50 is but 0 and 1.
    const hits = 41 * story.epochs[0]!.validationAccuracy;
    expect(hits).toBeCloseTo(Math.round(hits), 9);
    expect(result.tensors).toEqual(story.checkpoints.at(-1)!.averages);
    expect(result.tensors).not.toEqual(story.checkpoints.at(-1)!.tensors);
  });

  it('goes on from the last epoch after a sudden end', async () => {
    const story = emptyStory();
    const expected = weightsHash(await run(recipe, { story }));
    expect(story.checkpoints.map(({ step, position }) => [step, position.epoch])).toEqual([
      [13, 1],
      [26, 2],
      [39, 3],
    ]);
    for (const resumeFrom of story.checkpoints) expect(weightsHash(await run(recipe, { resumeFrom }))).toBe(expected);
  });

  it('saves checkpoints within an epoch where it is asked to, and goes on from any of them', async () => {
    const story = emptyStory();
    const expected = weightsHash(await run(recipe, { story, checkpointEverySteps: 5 }));
    expect(expected).toBe(weightsHash(await run(recipe)));
    expect(story.checkpoints.map(({ step }) => step)).toEqual([5, 10, 13, 15, 20, 25, 26, 30, 35, 39]);
    for (const resumeFrom of story.checkpoints.slice(0, 4))
      expect(weightsHash(await run(recipe, { resumeFrom }))).toBe(expected);
    const each = emptyStory();
    await run({ ...recipe, epochs: 1 }, { story: each, checkpointEverySteps: 1 });
    expect(each.checkpoints.map(({ step, position }) => [step, position.epoch])).toEqual([
      ...Array.from({ length: 12 }, (_, index) => [index + 1, 0]),
      [13, 1],
    ]);
  });

  it('pauses after the epoch that it is told to, at once where it is there already, and not at the end', async () => {
    const story = emptyStory();
    const expected = weightsHash(await run(recipe));
    expect(await run(recipe, { story, pauseAfterEpoch: 2 })).toEqual({ outcome: 'paused' });
    expect(story.checkpoints.map(({ position }) => position.epoch)).toEqual([1, 2]);
    const resumeFrom = story.checkpoints.at(-1);
    expect(await run(recipe, { story, resumeFrom, pauseAfterEpoch: 2 })).toEqual({ outcome: 'paused' });
    expect([story.steps.length, story.checkpoints.length]).toEqual([26, 2]);
    expect(weightsHash(await run(recipe, { story, resumeFrom, pauseAfterEpoch: 3 }))).toBe(expected);
  });

  it('stops early, says why, and resumed at any epoch stops where it would have', async () => {
    // Nothing is learnt at this rate, and so nothing improves by so much.
    const input: PlanInput = {
      ...recipe, epochs: 8, optimizer: { learningRate: 1e-6 }, schedule: { kind: 'CONSTANT' },
      earlyStopping: { metric: 'VALIDATION_LOSS', patience: 3, minDelta: 0.5 },
    }; // prettier-ignore
    const story = emptyStory();
    const result = await run(input, { story });
    const [first] = story.epochs;
    expect(result).toMatchObject({
      outcome: 'finished',
      step: 4 * STEPS_PER_EPOCH,
      stoppedEarly: `VALIDATION_LOSS did not improve on epoch 1's ${first!.validationLoss.toFixed(4)} by more than 0.5 until epoch 4 of 8`,
    });
    expect(story.checkpoints.map(({ stopping }) => stopping)).toEqual(
      [0, 1, 2, 3].map((epochsWithout) => ({ best: first!.validationLoss, epochsWithout })),
    );
    for (const resumeFrom of story.checkpoints) {
      const resumed = await run(input, { resumeFrom });
      expect(weightsHash(resumed)).toBe(weightsHash(result));
      expect(resumed).toMatchObject({ stoppedEarly: expect.any(String), evaluation: { loss: story.epochs[3]!.validationLoss } });
    }
    expect(await run(recipe)).toMatchObject({ stoppedEarly: undefined });
  });

  it('ends a run whose loss is no number, with the step and the learning rate', async () => {
    const diverging = { ...recipe, optimizer: { learningRate: 1e30 }, schedule: { kind: 'CONSTANT' as const } };
    await expect(run(diverging)).rejects.toThrow(
      /^the (validation )?loss became (NaN|-?Infinity) at step \d+ \(epoch 1\) with learning rate 1e\+30/,
    );
  });

  it('stops between two steps with the reason it is given, and keeps nothing open', async () => {
    const stop = new AbortController();
    let steps = 0;
    const sink: TrainingSink = {
      onStep: () => void (++steps === 4 && stop.abort(new Error('enough'))),
      onEpoch: async () => {},
      onCheckpoint: async () => {},
    };
    const plan = normalisePlan(recipe);
    const events: string[] = [];
    const open: Engine['open'] = async (...of) => {
      const session = await engine.open(...of);
      events.push('open');
      const close = session.close.bind(session);
      return Object.assign(session, { close: () => (events.push('close'), close()) });
    };
    const task = {
      plan, graph, data, engine: Object.assign(Object.create(engine) as Engine, { open }), classNames: CLASS_NAMES,
      initial: initialTensors(graph, definition, 0), normalisation: { mean: [0.4], std: [0.3] }, precision: 'FLOAT32' as const,
    }; // prettier-ignore
    await expect(train(task, sink, { stop: stop.signal })).rejects.toThrow('enough');
    expect(steps).toBe(4);
    expect(events).toEqual(['open', 'close']);
  });
});

describe('a checkpoint', () => {
  it('of the first format, without averages and early stopping, is read', async () => {
    const story = emptyStory();
    await run({ ...recipe, epochs: 1 }, { story });
    const { tensors, metadata } = packCheckpoint(story.checkpoints[0]!, 'mark');
    const arrays = tensors.map(({ name, data: values }) => [name, values] as const);
    expect(unpackCheckpoint(arrays, { ...metadata, format: '1' }, 'mark')).toEqual(story.checkpoints[0]);
    expect(() => unpackCheckpoint(arrays, { ...metadata, format: '3' }, 'mark')).toThrow(ForeignCheckpointError);
  });

  it('of another plan or network is refused', async () => {
    const story = emptyStory();
    await run({ ...recipe, epochs: 1 }, { story });
    const { tensors, metadata } = packCheckpoint(story.checkpoints[0]!, fingerprint(normalisePlan(recipe), graph));
    const arrays = tensors.map(({ name, data: values }) => [name, values] as const);
    const others = [
      fingerprint(normalisePlan({ ...recipe, seed: 1 }), graph),
      fingerprint(normalisePlan(recipe), { ...graph, numClasses: 5 }),
    ];
    for (const other of others) expect(() => unpackCheckpoint(arrays, metadata, other)).toThrow(ForeignCheckpointError);
  });
});

describe('the choice of an engine', () => {
  const engines = new EngineSet(1);

  it('takes onednn where there is no GPU, at its fastest precision', async () => {
    const { engine: chosen, precision } = await engines.select({ engine: 'AUTO', precision: 'AUTO' });
    expect(chosen.name).toBe('ONEDNN');
    expect(precision).toBe(chosen.precisions[0]);
  });

  it('refuses a precision that the engine does not compute, and names those that it does', async () => {
    const { engine: tfjs } = await engines.select({ engine: 'TFJS', precision: 'AUTO' });
    expect(tfjs.precisions).not.toContain('BFLOAT16');
    await expect(engines.select({ engine: 'TFJS', precision: 'BFLOAT16' })).rejects.toThrow(
      /BFLOAT16 is not computed by TFJS .* which has FLOAT32/,
    );
  });
});
