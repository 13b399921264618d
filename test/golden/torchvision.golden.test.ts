import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PresetName } from '../../src/domain/network/definition.js';
import type { TensorMap } from '../../src/domain/network/graph.js';
import { buildGraph } from '../../src/domain/network/layers.js';
import { normaliseNetwork } from '../../src/domain/network/normalise.js';
import { matchWeights, toFloat32 } from '../../src/formats/foreign-weights.js';
import { readSafetensorsIndex, safetensorsView, type SafetensorsIndex } from '../../src/formats/safetensors.js';
import { encodeStateDict } from '../../src/formats/state-dict.js';
import type { TrainingSession } from '../../src/training/engine.js';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import { startTorchvision, type TorchvisionReference } from './torchvision/python.js';

/**
 * Our networks are torchvision's: its weights into the CPU engine, evaluated and trained on, and ours back into it, live
 * against Debian's python3-torch and python3-torchvision. float32 on both sides.
 */
const NETWORKS: readonly [name: string, preset: PresetName][] = [
  ['resnet18', 'RESNET18'],
  ['resnet34', 'RESNET34'],
  ['resnet50', 'RESNET50'],
  ['resnext50_32x4d', 'RESNEXT50_32X4D'],
  ['wide_resnet50_2', 'WIDE_RESNET50_2'],
];
/** Of the largest magnitude. */
const TOLERANCE = 1e-3;
const TRACKED_BEFORE = 7;

const engine = createOneDnnEngine({ threads: 2 });
let torchvision: TorchvisionReference;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'residual-test-'));
  torchvision = startTorchvision();
});
afterAll(() => {
  torchvision?.close();
  rmSync(folder, { recursive: true, force: true });
});

test.each(NETWORKS)(
  '%s evaluates, trains for five steps and goes back into torchvision, all to the same logits',
  async (name, preset) => {
    const file = path.join(folder, `${name}.safetensors`);
    await torchvision.ask({ do: 'make', name, file });
    const golden = readGolden(file, preset);
    rmSync(file);
    const session = await openSession(golden);
    try {
      const { images, labels, size, learningRate, steps } = golden;
      expect(difference(await session.evaluate(images, size), golden.logits)).toBeLessThan(TOLERANCE);

      const losses: number[] = [];
      for (let step = 0; step < steps; step++)
        losses.push((await session.step({ images, labels, size }, learningRate)).loss);
      expect(difference(losses, golden.trainedLosses)).toBeLessThan(TOLERANCE);
      const logits = await session.evaluate(images, size);
      expect(difference(logits, golden.trainedLogits)).toBeLessThan(TOLERANCE);
      // The comparison is not of numbers that stand still.
      expect(difference(logits, golden.logits)).toBeGreaterThan(0.1);

      const batches = TRACKED_BEFORE + steps;
      writeFileSync(file, encodeStateDict(golden.graph, await session.tensors(), batches, { mean: '[0,0,0]' }));
      const back = await torchvision.ask({ do: 'load', name, file });
      expect(back.batchesTracked).toBe(batches);
      expect(difference(logits, Float32Array.from(back.logits))).toBeLessThan(TOLERANCE);
    } finally {
      await session.close();
      rmSync(file, { force: true });
    }
  },
);

type Golden = ReturnType<typeof readGolden>;

function readGolden(file: string, preset: PresetName) {
  const bytes = readFileSync(file);
  const index = readSafetensorsIndex(bytes);
  const floats = (name: string) => toFloat32(index.tensors.get(name)!, safetensorsView(bytes, index.tensors.get(name)!));
  const labels = new Int32Array(Uint8Array.from(safetensorsView(bytes, index.tensors.get('labels')!)).buffer);
  const [size, height, width, channels] = index.tensors.get('images')!.shape as [number, number, number, number];
  const graph = buildGraph(normaliseNetwork({ preset, inputShape: { height, width, channels }, numClasses: 10 }));
  const tensors: TensorMap = new Map();
  for (const [name, tensor] of matchWeights(graph, initialState(index)).tensors)
    tensors.set(name, toFloat32(tensor, safetensorsView(bytes, tensor)));
  const options = JSON.parse(index.metadata['optimizer']!) as { learningRate: number; momentum: number; steps: number };
  return {
    graph, tensors, size, labels, ...options, images: floats('images'), logits: floats('logits'),
    trainedLosses: floats('trained.losses'), trainedLogits: floats('trained.logits'),
  }; // prettier-ignore
}

/** torchvision's state_dict out of the file, as a file of its own would have it. */
function initialState({ tensors }: SafetensorsIndex): Pick<SafetensorsIndex, 'tensors'> {
  const prefix = 'initial.';
  const own = [...tensors.values()].filter(({ name }) => name.startsWith(prefix));
  const renamed = own.map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) }));
  return { tensors: new Map(renamed.map((tensor) => [tensor.name, tensor])) };
}

function openSession({ graph, tensors, size, learningRate, momentum }: Golden): Promise<TrainingSession> {
  return engine.open(graph, tensors, {
    batchSize: size,
    precision: 'FLOAT32',
    optimizer: {
      kind: 'SGD', learningRate, momentum, nesterov: true, weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8,
    }, // prettier-ignore
    labelSmoothing: 0,
    seed: 0,
  });
}

/** The largest, as a share of the largest magnitude expected. */
function difference(actual: ArrayLike<number>, expected: Float32Array): number {
  if (actual.length !== expected.length) return Infinity;
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  return expected.reduce((worst, value, i) => Math.max(worst, Math.abs(value - actual[i]!)), 0) / scale;
}
