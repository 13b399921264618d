import { readFileSync } from 'node:fs';
import { readSafetensorsIndex, safetensorsView } from '../../../src/formats/safetensors.js';
import type { Batch, SessionOptions } from '../../../src/training/engine.js';
import { readTrainingGolden, type TrainingGolden } from '../training/golden.js';

/** PyTorch's run with clipped gradients, mixed targets and averaged weights: see make.py beside this file. */
export interface RecipeGolden extends Omit<TrainingGolden, 'batch'> {
  /** In float32. */
  readonly options: SessionOptions;
  readonly learningRate: number;
  /** Of each step: images whose largest logit is at the label of the larger share. */
  readonly correct: readonly number[];
  batch(step: number): Required<Batch>;
}

export function readRecipeGolden(): RecipeGolden {
  const golden = readTrainingGolden('../recipe/recipe');
  const file = readFileSync(`${import.meta.dirname}/recipe.safetensors`);
  const { tensors, metadata } = readSafetensorsIndex(file);
  const integers = (name: string) =>
    new Int32Array(Uint8Array.from(safetensorsView(file, tensors.get(name)!)).buffer);
  const [others, shares, optimizer] = [integers('others'), golden.tensor('shares'), golden.optimizers['recipe']!];
  const { size } = golden.batch(0);
  const batch = (step: number) => {
    const start = (step * size) % others.length;
    const mix = { labels: others.subarray(start, start + size), shares: shares.subarray(start, start + size) };
    return { ...golden.batch(step), mix };
  };
  const options: SessionOptions = {
    batchSize: size, precision: 'FLOAT32', optimizer, labelSmoothing: golden.labelSmoothing, seed: 0,
    emaDecay: Number(metadata['emaDecay']),
  }; // prettier-ignore
  return { ...golden, options, learningRate: optimizer.learningRate, correct: [...integers('correct')], batch };
}
