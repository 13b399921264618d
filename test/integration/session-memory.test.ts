import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initialTensors } from '../../src/domain/network/initialise.js';
import { buildGraph } from '../../src/domain/network/layers.js';
import { normaliseNetwork } from '../../src/domain/network/normalise.js';
import { encodeOnnx } from '../../src/formats/onnx.js';
import { MEMORY_OF_API } from '../../src/local/processes.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'residual-memory-'));
  const inputShape = { height: 224, width: 224, channels: 3 };
  const classNames = Array.from({ length: 1_000 }, (_, index) => `class ${index}`);
  const definition = normaliseNetwork({ preset: 'RESNET50', inputShape, numClasses: classNames.length });
  const graph = buildGraph(definition);
  const normalisation = { mean: [0, 0, 0], std: [1, 1, 1] };
  const onnx = encodeOnnx(graph, initialTensors(graph, definition, 1), { classNames, ...normalisation });
  await writeFile(path.join(directory, 'resnet50.onnx'), onnx);
  await writeFile(path.join(directory, 'loads.mjs'), PROGRAM);
});
afterAll(() => rm(directory, { recursive: true }));

/** Loads and releases over and over, in a process of its own; prints the megabytes that it has after some, at rest. */
const PROGRAM = `
import { readFileSync } from 'node:fs';
import { Session } from '${path.resolve(import.meta.dirname, '../../dist/src/serving/session.js')}';
async function atRestAfter(loads) {
  for (let load = 0; load < loads; load++) {
    const session = await Session.open(new Uint8Array(readFileSync('resnet50.onnx')), { threads: 1 });
    await session.release();
  }
  gc();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  return process.memoryUsage.rss() / 1e6;
}
console.log(JSON.stringify([await atRestAfter(3), await atRestAfter(4)]));
`;

test('a ResNet-50 that is loaded and released again and again leaves the process no larger, and less than one of it', async () => {
  const { MALLOC_CONF: conf, ...memory } = { MALLOC_CONF: undefined, ...MEMORY_OF_API };
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', 'loads.mjs'], {
    cwd: directory,
    // What the API gives back after ten seconds, sooner.
    env: { ...process.env, ...memory, ...(conf && { MALLOC_CONF: `${conf},dirty_decay_ms:1000` }) },
  });
  const [early, late] = JSON.parse(stdout) as [number, number];
  expect(late).toBeLessThan(1.1 * early);
  // With glibc's own thresholds it is 440 to 530 (docs/decisions/0009-serving-memory-and-threads.md).
  expect(late).toBeLessThan(300);
});
