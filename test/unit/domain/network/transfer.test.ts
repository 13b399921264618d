import { expect, test } from 'vitest';
import { initialTensors } from '../../../../src/domain/network/initialise.js';
import { buildGraph } from '../../../../src/domain/network/layers.js';
import { normaliseNetwork, type ArchitectureInput } from '../../../../src/domain/network/normalise.js';
import { transferProblems, transferTensors } from '../../../../src/domain/network/transfer.js';

function network(numClasses: number, seed: number, changes: ArchitectureInput = {}) {
  const architecture: ArchitectureInput = { stem: { kind: 'CONV3X3', width: 4 }, stages: [{ blocks: 1, width: 4, stride: 1 }], ...changes };
  const definition = normaliseNetwork({ architecture, inputShape: { height: 8, width: 8, channels: 3 }, numClasses });
  const graph = buildGraph(definition);
  return { graph, tensors: initialTensors(graph, definition, seed) };
}

test('the same network takes every tensor', () => {
  const [from, to] = [network(4, 1), network(4, 2)];
  expect(transferProblems(from.graph, to.graph)).toEqual([]);
  const { tensors, taken, reinitialised } = transferTensors(to.graph, to.tensors, from.tensors);
  expect([tensors, taken.length, reinitialised]).toEqual([from.tensors, from.tensors.size, []]);
});

test('a network with other classes draws its whole head anew and takes the rest', () => {
  const [from, to] = [network(4, 1), network(5, 2)];
  expect(transferProblems(from.graph, to.graph)).toEqual([]);
  const { tensors, reinitialised } = transferTensors(to.graph, to.tensors, from.tensors);
  expect(reinitialised).toEqual(['fc.weight', 'fc.bias']);
  for (const [name, values] of tensors) expect(values).toBe((name.startsWith('fc.') ? to : from).tensors.get(name));
});

test('another depth or width is a problem for each tensor that differs', () => {
  const deeper = network(4, 1, { stages: [{ blocks: 2, width: 4, stride: 1 }] });
  const shallow = network(4, 1);
  expect(transferProblems(deeper.graph, shallow.graph)).toContain("layer1.1.conv1.weight is none of this network's");
  expect(transferProblems(shallow.graph, deeper.graph)).toContain('layer1.1.conv1.weight is missing');
  const wider = network(4, 1, { stem: { kind: 'CONV3X3', width: 8 } });
  expect(transferProblems(shallow.graph, wider.graph)).toContain('conv1.weight is [4, 3, 3, 3], not [8, 3, 3, 3]');
  expect(() => transferTensors(wider.graph, wider.tensors, shallow.tensors)).toThrow(/no conv1\.weight of 216 values/);
});
