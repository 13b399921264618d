/** What takes a process of its own: the loader's remedy, oneDNN's limit on instruction sets, memory, exit in mid-step. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import { batchOf, sessionOptions, SGD, smallNetwork } from './networks.js';

const NATIVE = fileURLToPath(new URL('../../native', import.meta.url));
const { graph, initial } = smallNetwork();

/** Runs `body` in a fresh process, where `open(options)` opens a session on the small network; gives what it prints. */
function inProcess(body: string, env: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'residual-native-'));
  try {
    const batch = batchOf(graph, 16);
    const tensors = Object.fromEntries([...initial].map(([name, values]) => [name, [...values]]));
    const data = { graph, tensors, images: [...batch.images], labels: [...batch.labels], optimizer: SGD };
    writeFileSync(join(folder, 'network.json'), JSON.stringify(data));
    const script = `
      const addon = require(${JSON.stringify(join(NATIVE, 'index.cjs'))});
      const data = require(${JSON.stringify(join(folder, 'network.json'))});
      const tensors = Object.fromEntries(Object.entries(data.tensors).map(([name, values]) => [name, Float32Array.from(values)]));
      const images = Float32Array.from(data.images), labels = Int32Array.from(data.labels);
      const open = async (precision, threads = 2) => {
        const session = new addon.Session();
        const { graph, optimizer } = data;
        await session.open(graph, tensors, { batchSize: 16, precision, optimizer, labelSmoothing: 0.1, threads });
        return session;
      };
      (async () => { ${body} })().catch((error) => { console.log('failed: ' + error.message); });`;
    const options = { encoding: 'utf8', env: { ...process.env, ...env }, timeout: 60_000 } as const;
    return spawnSync(process.execPath, ['--expose-gc', '-e', script], options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('an addon that is not built says how to build it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'residual-native-'));
  cpSync(join(NATIVE, 'index.cjs'), join(folder, 'index.cjs'));
  const script = `require(${JSON.stringify(join(folder, 'index.cjs'))})`;
  const load = () => execFileSync(process.execPath, ['-e', script], { encoding: 'utf8', stdio: 'pipe' });
  expect(load).toThrow(/it is not built: run `apt-get install libdnnl-dev g\+\+ make python3 && npm run native`/);
  rmSync(folder, { recursive: true });
});

test('under a limit to AVX2 the CPU has no bfloat16: float32 trains, bfloat16 is refused', () => {
  const { stdout } = inProcess(
    `console.log(addon.isa, addon.nativeBFloat16);
     const session = await open('FLOAT32');
     console.log((await session.step(images, labels, 16, 0.1)).loss > 0);
     await session.close();
     await open('BFLOAT16');`,
    { ONEDNN_MAX_CPU_ISA: 'AVX2' },
  );
  expect(stdout).toMatch(/^avx2 false\ntrue\nfailed: this CPU \(avx2\) cannot compute in bfloat16, which takes AVX-512: use float32\n$/);
});

test('opening and closing many sessions leaves nothing behind', () => {
  const { stdout, status } = inProcess(`
    const cycle = async () => {
      const session = await open('FLOAT32', 1);
      await session.step(images, labels, 16, 0.1);
      await session.step(images.subarray(0, 3 * 768), labels.subarray(0, 3), 3, 0.1);
      await session.evaluate(images, 16);
      await session.tensors();
      await session.close();
    };
    const settle = async () => { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); gc(); return process.memoryUsage().rss; };
    for (let i = 0; i < 5; i++) await cycle();
    const before = await settle();
    for (let i = 0; i < 20; i++) await cycle();
    const after = await settle();
    const threads = require('node:fs').readdirSync('/proc/self/task').length;
    console.log(JSON.stringify({ grownMegabytes: (after - before) / 1e6, threads }));`);
  expect(status).toBe(0);
  const { grownMegabytes, threads } = JSON.parse(stdout) as { grownMegabytes: number; threads: number };
  // One session takes about 30 MB; twenty that leaked a tenth of it would show.
  expect(grownMegabytes).toBeLessThan(30);
  expect(threads).toBeLessThan(20);
});

test('a process may exit while a step runs, and with a session left open', () => {
  const inStep = inProcess(`const session = await open('FLOAT32'); session.step(images, labels, 16, 0.1); process.exit(7);`);
  expect([inStep.status, inStep.signal, inStep.stderr]).toEqual([7, null, '']);
  const idle = inProcess(`const session = await open('FLOAT32'); await session.step(images, labels, 16, 0.1); console.log('done');`);
  expect([idle.status, idle.signal, idle.stdout]).toEqual([0, null, 'done\n']);
});

test('the device names threads, instruction set and library', async () => {
  const engine = createOneDnnEngine({ threads: 1 });
  expect(engine.device).toMatch(/^1 thread, (avx512_core_bf16|avx512_core_vnni|avx512_core|avx2|avx|sse41), oneDNN \d+\.\d+\.\d+$/);
  const session = await engine.open(graph, initial, sessionOptions(engine.precisions[0]!, 4));
  await session.close();
});

test('the precision that AUTO takes is no slower than the other, by steps of the notebook\'s network', async () => {
  const engine = createOneDnnEngine({ threads: 1 });
  const notebook = smallNetwork(16, 'NOTEBOOK');
  const batch = batchOf(notebook.graph, 8);
  const sessions = await Promise.all(
    engine.precisions.map((precision) => engine.open(notebook.graph, notebook.initial, sessionOptions(precision, 8))),
  );
  // Of each the least, by the time that it has a core: what else the machine does takes its share of some rounds.
  const least = sessions.map(() => Infinity);
  const isSlower = () => least[0]! >= 1.15 * Math.min(...least);
  for (let round = 0; round < 8 || (round < 60 && isSlower()); round++)
    for (const [index, session] of sessions.entries()) {
      const before = process.cpuUsage();
      await session.step(batch, 0.1);
      const { user, system } = process.cpuUsage(before);
      least[index] = Math.min(least[index]!, user + system);
    }
  await Promise.all(sessions.map((session) => session.close()));
  expect(isSlower(), `microseconds: ${least.join(', ')}`).toBe(false);
});
