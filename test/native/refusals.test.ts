import { describe, expect, test } from 'vitest';
import type { Graph } from '../../src/domain/network/graph.js';
import { ResourceError, type TrainingSession } from '../../src/training/engine.js';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import { batchOf, sessionOptions, smallNetwork } from './networks.js';

const { graph, initial } = smallNetwork();
const engine = createOneDnnEngine({ threads: 1 });

describe('open refuses, saying why,', () => {
  test('a batch that does not fit in memory, before it takes any', async () => {
    const opening = engine.open(graph, initial, sessionOptions('FLOAT32', 100_000_000));
    await expect(opening).rejects.toThrow(ResourceError);
    await expect(opening).rejects.toThrow(/needs \d+ bytes \([\d.]+ GB\) of memory, \d+ bytes \([\d.]+ GB\) are available/);
  });

  test('a kind of node that it does not know', async () => {
    const nodes = graph.nodes.map((node) => (node.name === 'layer1.0.relu' ? { ...node, kind: 'swish' } : node)) as Graph['nodes'];
    await expect(engine.open({ ...graph, nodes }, initial, sessionOptions('FLOAT32', 4))).rejects.toThrow(
      'node "layer1.0.relu" (swish): the onednn engine has no such kind of node',
    );
  });

  test('a tensor that is missing or has another length', async () => {
    const missing = new Map(initial);
    missing.delete('bn1.running_var');
    await expect(engine.open(graph, missing, sessionOptions('FLOAT32', 4))).rejects.toThrow('tensor "bn1.running_var" is missing');
    const short = new Map(initial).set('fc.bias', new Float32Array(9));
    await expect(engine.open(graph, short, sessionOptions('FLOAT32', 4))).rejects.toThrow('tensor "fc.bias" has 9 elements, not 10');
  });

  test('options out of range', async () => {
    await expect(engine.open(graph, initial, sessionOptions('FLOAT32', 0))).rejects.toThrow('batchSize must be a positive integer, not 0');
    const smoothing = engine.open(graph, initial, { ...sessionOptions('FLOAT32', 1), labelSmoothing: 1 });
    await expect(smoothing).rejects.toThrow('labelSmoothing must be in [0, 1), not 1');
    expect(() => createOneDnnEngine({ threads: 0 })).toThrow('threads must be a positive integer, not 0');
  });
});

describe('an open session refuses, and goes on working after it:', () => {
  const refusals: [string, (session: TrainingSession) => Promise<unknown>, string][] = [
    [
      'images of another length',
      (s) => s.step({ ...batchOf(graph, 4), images: new Float32Array(5) }, 0.1),
      'images has 5 elements, not 3072',
    ],
    ['labels of another length', (s) => s.step({ ...batchOf(graph, 4), labels: new Int32Array(3) }, 0.1), 'labels has 3 elements, not 4'],
    ['a label that is no class', (s) => s.step({ ...batchOf(graph, 1), labels: Int32Array.of(10) }, 0.1), 'label 10 is not in [0, 10)'],
    ['a rate that is not finite', (s) => s.step(batchOf(graph, 4), NaN), 'learningRate must be finite, not NaN'],
    ['a batch larger than the session', (s) => s.step(batchOf(graph, 5), 0.1), 'a batch has between 1 and 4 images, not 5'],
    ['an empty batch', (s) => s.evaluate(new Float32Array(0), 0), 'a batch has between 1 and 4 images, not 0'],
    ['a state without its count of steps', async (s) => s.restore(initial, new Map()), 'tensor "step" is missing'],
  ];

  test.each(refusals)('%s', async (_, act, message) => {
    const session = await engine.open(graph, initial, sessionOptions('FLOAT32', 4));
    try {
      await expect(act(session)).rejects.toThrow(message);
      expect((await session.step(batchOf(graph, 4), 0.1)).loss).toBeGreaterThan(0);
    } finally {
      await session.close();
    }
  });
});

test('images that are not a number show in the loss', async () => {
  const session = await engine.open(graph, initial, sessionOptions('FLOAT32', 4));
  const batch = batchOf(graph, 4);
  batch.images[0] = NaN;
  expect((await session.step(batch, 0.1)).loss).toBeNaN();
  await session.close();
});

test('a closed session refuses every call, and may be closed again', async () => {
  const session = await engine.open(graph, initial, sessionOptions('FLOAT32', 4));
  await session.close();
  await session.close();
  await expect(session.step(batchOf(graph, 4), 0.1)).rejects.toThrow('the session is closed');
  await expect(session.tensors()).rejects.toThrow('the session is closed');
});
