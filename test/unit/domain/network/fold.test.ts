import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { foldBatchNorms } from '../../../../src/domain/network/fold.js';
import { initialTensors } from '../../../../src/domain/network/initialise.js';
import { buildGraph } from '../../../../src/domain/network/layers.js';
import { normaliseNetwork } from '../../../../src/domain/network/normalise.js';
import { encodeOnnx } from '../../../../src/formats/onnx.js';
import { largestDifference, readVariant, readVariants, VARIANT_IMAGES } from '../../../golden/variants/variants.js';

const metadata = { classNames: ['a', 'b', 'c', 'd', 'e'], mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] };
/** As it stands, so that the runtime folds nothing itself. */
const AS_IT_STANDS = { graphOptimizationLevel: 'disabled' } as const;

describe.each(readVariants())('$name', ({ graph, tensors, input, logits: expected }) => {
  it("gives PyTorch's logits without the batch norms that stand behind a convolution", async () => {
    const folded = foldBatchNorms(graph, tensors);
    const kinds = folded.graph.nodes.map(({ kind }, index, nodes) => [kind, nodes[index - 1]?.kind]);
    expect(kinds.length).toBeLessThan(graph.nodes.length);
    expect(kinds).not.toContainEqual(['batchNorm', 'conv']);
    const session = await InferenceSession.create(encodeOnnx(folded.graph, folded.tensors, metadata), AS_IT_STANDS);
    const { logits } = await session.run({ input: new Tensor('float32', input, [VARIANT_IMAGES, ...graph.inputShape]) });
    await session.release();
    expect(largestDifference(logits!.data as Float32Array, expected)).toBeLessThan(1e-4);
  });
});

it('computes weight * f and (bias - mean) * f + shift, f = scale / sqrt(variance + epsilon)', () => {
  const { graph, tensors } = readVariant('notebook');
  const norm = graph.nodes.find(({ kind }) => kind === 'batchNorm')!;
  const conv = norm.inputs[0]!;
  const own = new Map(tensors);
  const [scale, shift, mean, variance] = norm.tensors.map(({ name }) => name) as [string, string, string, string];
  const channels = own.get(scale)!.length;
  own.set(scale, new Float32Array(channels).fill(3)).set(shift, new Float32Array(channels).fill(0.25));
  own.set(mean, new Float32Array(channels).fill(-1)).set(variance, new Float32Array(channels).fill(2.25 - 1e-5));
  own.set(`${conv}.bias`, new Float32Array(channels).fill(4));
  const { tensors: folded } = foldBatchNorms(graph, own);
  expect(folded.get(`${conv}.bias`)![0]).toBeCloseTo((4 + 1) * 2 + 0.25, 5);
  expect(folded.get(`${conv}.weight`)![5]).toBeCloseTo(2 * own.get(`${conv}.weight`)![5]!, 5);
  expect(folded.has(scale)).toBe(false);
  expect(own.get(`${conv}.bias`)![0]).toBe(4);
});

it('leaves a norm alone whose convolution somebody else reads too', () => {
  const inputShape = { height: 32, width: 32, channels: 3 };
  const definition = normaliseNetwork({ preset: 'PREACT_RESNET20', inputShape, numClasses: 10 });
  const graph = buildGraph(definition);
  const first = graph.nodes.find(({ kind }) => kind === 'batchNorm')!;
  expect(graph.nodes.filter(({ inputs }) => inputs.includes(first.inputs[0]!)).length).toBeGreaterThan(1);
  const { graph: folded } = foldBatchNorms(graph, initialTensors(graph, definition, 0));
  const norms = folded.nodes.filter(({ kind }) => kind === 'batchNorm');
  const byName = new Map(folded.nodes.map((node) => [node.name, node]));
  for (const { inputs } of norms) {
    const readers = folded.nodes.filter((node) => node.inputs.includes(inputs[0]!));
    expect([byName.get(inputs[0]!)?.kind, readers.length]).not.toEqual(['conv', 1]);
  }
  expect(norms.map(({ name }) => name)).toContain(first.name);
});
