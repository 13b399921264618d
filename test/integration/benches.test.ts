import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const MAIN = path.resolve(import.meta.dirname, '../../dist/bench/main.js');

/** The last line's object. */
async function bench(...args: string[]) {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args], { timeout: 110_000 });
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Record<string, number | string>;
}

const FIGURES = { threads: 1, imagesPerSecond: expect.any(Number), peakBytes: expect.any(Number) };

it('bench train ends with the figures of bare steps as JSON', async () => {
  const result = await bench('train', 'resnet20', '16', '--precision', 'float32', '--threads', '1');
  expect(result).toMatchObject({ model: 'resnet20', batchSize: 16, precision: 'FLOAT32', ...FIGURES });
  expect(result.imagesPerSecond).toBeGreaterThan(1);
});

it('bench loop trains a run as a worker does, for as long as it is told', { timeout: 120_000 }, async () => {
  const args = ['--precision', 'float32', '--threads', '1', '--seconds', '2'];
  const result = await bench('loop', 'resnet20', '16', ...args);
  expect(result).toMatchObject({ model: 'resnet20', batchSize: 16, precision: 'FLOAT32', ...FIGURES });
  expect(result.seconds).toBeGreaterThanOrEqual(2);
  expect((Number(result.imagesPerSecond) * Number(result.seconds)) / (16 * Number(result.steps))).toBeCloseTo(1, 1);
});

it('bench int8 sets eight bits beside float32, and says whether they reach their floor', async () => {
  const result = await bench('int8', 'resnet20', '--threads', '1', '--seconds', '0.1');
  expect(result).toMatchObject({ threads: 1, accuracy: [], pass: true });
  const rows = result['rows'] as unknown as Record<'batchSize' | 'float32' | 'int8' | 'ratio', number>[];
  expect(rows.map(({ batchSize }) => batchSize)).toEqual([1, 32]);
  for (const { float32, int8, ratio } of rows) expect(ratio).toBeCloseTo(int8 / float32, 1);
  await expect(bench('int8', 'alexnet')).rejects.toThrow('measured are accuracy, resnet50, resnet20, not alexnet');
});

it('a bench says what it can do where it is asked for something else', async () => {
  await expect(bench('fly')).rejects.toThrow('usage: npm run bench -- train|loop|train-peers');
  await expect(bench('train', 'alexnet')).rejects.toThrow('MODEL is one of resnet20, ');
  await expect(bench('train', 'resnet20', '8', '--threads', 'two')).rejects.toThrow('--threads is a positive whole number, not two');
});
