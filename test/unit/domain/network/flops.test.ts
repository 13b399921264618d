import { expect, it } from 'vitest';
import { countParameters, summariseGraph, summariseNetwork } from '../../../../src/domain/network/flops.js';
import type { Graph } from '../../../../src/domain/network/graph.js';
import { buildGraph } from '../../../../src/domain/network/layers.js';
import { normaliseNetwork } from '../../../../src/domain/network/normalise.js';
import * as add from '../../../../src/domain/network/nodes.js';
import type { Node } from '../../../../src/domain/network/graph.js';

/** conv1 -> relu -> (conv2 + relu) -> pool -> fc on 4x4 grey images. */
function tinyGraph(): Graph {
  const nodes: Node[] = [];
  const image = { name: 'input', shape: [1, 4, 4] as const };
  const start = add.pointwise(nodes, 'relu', 'relu', add.conv(nodes, 'conv1', image, { outputs: 2, kernel: 3, bias: true }));
  const branch = add.conv(nodes, 'conv2', start, { outputs: 2, kernel: 1, bias: false });
  const sum = add.pointwise(nodes, 'add', 'add', branch, start);
  const logits = add.linear(nodes, 'fc', add.globalAveragePool(nodes, 'avgpool', sum), 3);
  return { inputShape: [1, 4, 4], numClasses: 3, nodes, output: logits.name };
}

it('counts weights, multiply-adds as two, and layers on the longest path', () => {
  const summary = summariseGraph(tinyGraph());
  expect(summary.layers.map(({ name, parameters, flops }) => [name, parameters, flops])).toEqual([
    ['conv1', 18 + 2, 2 * 18 * 16],
    ['relu', 0, 0],
    ['conv2', 4, 2 * 4 * 16],
    ['add', 0, 0],
    ['avgpool', 0, 0],
    ['fc', 9, 2 * 6],
  ]);
  expect([summary.depth, summary.parameters, summary.flops]).toEqual([3, 33, 576n + 128n + 12n]);
});

it('keeps what a shortcut reads alive until it was added', () => {
  // At `add`: relu, conv2 and the sum, 2 x 4 x 4 float32 each. The image and conv1 are gone by then.
  expect(summariseGraph(tinyGraph()).activationBytes).toBe(4n * 3n * 32n);
});

it("agrees with the paper's depth on a network without a deep stem or widening", () => {
  const definition = normaliseNetwork({
    preset: 'SE_RESNET50',
    inputShape: { height: 64, width: 64, channels: 3 },
    numClasses: 10,
  });
  const graph = buildGraph(definition);
  expect(summariseGraph(graph).depth).toBe(50);
  expect(summariseNetwork(definition)).toEqual(summariseGraph(graph));
  expect(countParameters(graph)).toBe(summariseGraph(graph).parameters);
});
