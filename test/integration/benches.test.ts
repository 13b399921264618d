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

it('bench loop trains a run as a worker does, for as long as it is told', async () => {
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

it('bench predict asks the API over HTTP, and every request is answered', async () => {
  const result = await bench('predict', 'resnet20', '4', '--images', '2', '--threads', '1', '--seconds', '1');
  expect(result).toMatchObject({ model: 'resnet20', concurrency: 4, imagesPerRequest: 2, threads: 1, failures: 0 });
  expect(result.requests).toBeGreaterThan(4);
  expect(result.cpuMsPerRequest).toBeGreaterThan(0);
  expect(Number(result.imagesPerSecond) / Number(result.requestsPerSecond)).toBeCloseTo(2, 1);
  expect(Number(result.p50Ms)).toBeLessThanOrEqual(Number(result.p99Ms));
  await expect(bench('predict', 'resnet20', 'many')).rejects.toThrow('CONCURRENCY is a positive whole number, not many');
});

it('bench runtime computes the file that the API serves with onnxruntime alone', async () => {
  const result = await bench('runtime', 'resnet20', '8', '--threads', '1', '--seconds', '1');
  expect(result).toEqual({ model: 'resnet20', batchSize: 8, threads: 1, imagesPerSecond: expect.any(Number) });
  expect(result.imagesPerSecond).toBeGreaterThan(1);
});

it('bench predict-peers gives each row its ratio, and says whether it is as it should be', { timeout: 240_000 }, async () => {
  const result = await bench('predict-peers', 'processes', '--seconds', '1');
  const [row] = result['rows'] as unknown as Record<string, number>[];
  expect(row).toMatchObject({ model: 'resnet20', concurrency: 64, peer: 'one API process', floor: 1, failures: 0 });
  expect(row!['ratio']).toBeCloseTo(row!['ours']! / row!['peers']!, 1);
  expect(row!['pass']).toBe(row!['ours']! >= row!['peers']!);
  expect(result['pass']).toBe(row!['pass']);
  await expect(bench('predict-peers', 'alexnet')).rejects.toThrow('measured are resnet20, resnet50, first, processes, not alexnet');
});

it('a bench says what it can do where it is asked for something else', async () => {
  await expect(bench('fly')).rejects.toThrow('usage: npm run bench -- train|loop|train-peers');
  await expect(bench('train', 'alexnet')).rejects.toThrow('MODEL is one of resnet20, ');
  await expect(bench('train', 'resnet20', '8', '--threads', 'two')).rejects.toThrow('--threads is a positive whole number, not two');
});
