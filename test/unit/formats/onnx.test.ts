import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { graphTensors, type Graph } from '../../../src/domain/network/graph.js';
import { initialTensors } from '../../../src/domain/network/initialise.js';
import { buildGraph } from '../../../src/domain/network/layers.js';
import { normaliseNetwork } from '../../../src/domain/network/normalise.js';
import { DATA_TYPE, decodeModel, encodeModel } from '../../../src/formats/onnx-schema.js';
import { encodeOnnx, OnnxError } from '../../../src/formats/onnx.js';
import { largestDifference, readVariant, readVariants, VARIANT_IMAGES } from '../../golden/variants/variants.js';

const metadata = { classNames: ['a', 'b', 'c', 'd', 'é'], mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] };

async function run(file: Uint8Array, graph: Graph, images: Float32Array, batch: number) {
  const session = await InferenceSession.create(file);
  const outputs = await session.run({ input: new Tensor('float32', images, [batch, ...graph.inputShape]) });
  const { logits, probabilities, class_activation_map: maps } = outputs;
  return { session, outputs, logits: logits!, probabilities: probabilities!, maps: maps! };
}

describe.each(readVariants())('$name', ({ graph, tensors, input, logits: expected }) => {
  it("gives PyTorch's logits in onnxruntime, for one image as for three", async () => {
    const file = encodeOnnx(graph, tensors, metadata);
    const three = await run(file, graph, input, VARIANT_IMAGES);
    expect(largestDifference(three.logits.data as Float32Array, expected)).toBeLessThan(1e-4);
    const one = await run(file, graph, input.slice(0, input.length / VARIANT_IMAGES), 1);
    expect(largestDifference(one.logits.data as Float32Array, expected.slice(0, graph.numClasses))).toBeLessThan(1e-4);
  });

  it("puts out the likeliest class's map, whose mean and that class's bias are PyTorch's logit", async () => {
    const { maps } = await run(encodeOnnx(graph, tensors, metadata), graph, input, VARIANT_IMAGES);
    const length = maps.data.length / VARIANT_IMAGES;
    for (let image = 0; image < VARIANT_IMAGES; image++) {
      const logits = expected.slice(image * graph.numClasses, (image + 1) * graph.numClasses);
      const likeliest = logits.indexOf(Math.max(...logits));
      const map = (maps.data as Float32Array).slice(image * length, (image + 1) * length);
      const mean = map.reduce((sum, value) => sum + value, 0) / length;
      expect(mean + tensors.get('fc.bias')![likeliest]!).toBeCloseTo(logits[likeliest]!, 4);
    }
  });
});

it("weighs each place's channels for its map, as the paper's equation 2 does", async () => {
  const { graph, tensors, input } = readVariant('bottleneck');
  const model = decodeModel(encodeOnnx(graph, tensors, metadata));
  const pool = model.graph.node.find(({ opType }) => opType === 'GlobalAveragePool')!;
  const dim = ['n', 'c', 'h', 'w'].map((dimParam) => ({ dimParam }));
  const pooled = { name: pool.input[0]!, type: { tensorType: { elemType: DATA_TYPE.float, shape: { dim } } } };
  const opened = { ...model, graph: { ...model.graph, output: [...model.graph.output, pooled] } };
  const { outputs, probabilities, maps } = await run(encodeModel(opened), graph, input, VARIANT_IMAGES);
  const activation = outputs[pooled.name]!;
  const [, channels, height, width] = activation.dims as [number, number, number, number];
  expect([height, width]).not.toEqual([1, 1]);
  const expected = Float32Array.from({ length: VARIANT_IMAGES * height * width }, (_, index) => {
    const [image, place] = [Math.floor(index / (height * width)), index % (height * width)];
    const row = [...(probabilities.data as Float32Array).slice(image * 5, (image + 1) * 5)];
    const weights = tensors.get('fc.weight')!.slice(row.indexOf(Math.max(...row)) * channels);
    let sum = 0;
    for (let channel = 0; channel < channels; channel++)
      sum += weights[channel]! * (activation.data[(image * channels + channel) * height * width + place] as number);
    return sum;
  });
  expect(largestDifference(maps.data as Float32Array, expected)).toBeLessThan(1e-4);
});

it('puts out probabilities: the softmax of the logits', async () => {
  const { graph, tensors, input } = readVariant('bottleneck');
  const { logits, probabilities } = await run(encodeOnnx(graph, tensors, metadata), graph, input, VARIANT_IMAGES);
  const row = [...(logits.data as Float32Array).slice(0, graph.numClasses)].map(Math.exp);
  const sum = row.reduce((total, value) => total + value, 0);
  const softmax = Float32Array.from(row, (value) => value / sum);
  expect(largestDifference((probabilities.data as Float32Array).slice(0, graph.numClasses), softmax)).toBeLessThan(1e-5);
});

it('says what goes in and what comes out, with a batch of any size', async () => {
  const { graph, tensors } = readVariant('bottleneck');
  const session = await InferenceSession.create(encodeOnnx(graph, tensors, metadata));
  expect(session.inputMetadata).toMatchObject([{ name: 'input', type: 'float32', shape: ['batch', 3, 37, 33] }]);
  expect(session.outputMetadata).toMatchObject([
    { name: 'logits', type: 'float32', shape: ['batch', 5] },
    { name: 'probabilities', type: 'float32', shape: ['batch', 5] },
    { name: 'class_activation_map', type: 'float32', shape: ['batch', 5, 5] },
  ]);
});

it('carries versions, classes and normalisation, and the tensors under their own names', () => {
  const { graph, tensors } = readVariant('bottleneck');
  const model = decodeModel(encodeOnnx(graph, tensors, { ...metadata, producer: 'someone' }));
  expect(model).toMatchObject({ irVersion: 8, opsetImport: [{ version: 17 }], producerName: 'someone' });
  const properties = Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, JSON.parse(value)]));
  expect(properties).toEqual({
    class_names: metadata.classNames,
    mean: metadata.mean,
    std: metadata.std,
    input_shape: [3, 37, 33],
  });
  const floats = model.graph.initializer.filter(({ dataType }) => dataType === DATA_TYPE.float);
  const initializers = floats.map(({ name, dims }) => ({ name, shape: dims }));
  expect(initializers).toEqual(graphTensors(graph).map(({ name, shape }) => ({ name, shape })));
  expect(model.graph.node.filter(({ opType }) => opType === 'BatchNormalization')).toHaveLength(
    graph.nodes.filter(({ kind }) => kind === 'batchNorm').length,
  );
});

it('leaves out what acts in training alone', async () => {
  const { definition, tensors, input, logits } = readVariant('basic-pad');
  const graph = buildGraph({ ...definition, dropPath: 0.5, dropout: 0.5 });
  const { logits: ours } = await run(encodeOnnx(graph, tensors, metadata), graph, input, VARIANT_IMAGES);
  expect(largestDifference(ours.data as Float32Array, logits)).toBeLessThan(1e-4);
});

it('names the tensor that is missing or of another size', () => {
  const { graph, tensors } = readVariant('basic-pad');
  const broken = new Map(tensors).set('fc.bias', new Float32Array(3));
  expect(() => encodeOnnx(graph, broken, metadata)).toThrow('fc.bias: no tensor of 5 values');
});

it('refuses weights past what protobuf can hold, rather than write a file that cannot be read', () => {
  const inputShape = { height: 8, width: 8, channels: 3 };
  const definition = normaliseNetwork({ preset: 'RESNET20', inputShape, numClasses: 5 });
  const graph = buildGraph(definition);
  const huge: Graph = {
    ...graph,
    nodes: graph.nodes.map((node) =>
      node.name === 'fc' ? { ...node, tensors: node.tensors.map((spec) => ({ ...spec, shape: [2 ** 29] })) } : node,
    ),
  };
  // As long as it says, and without memory behind it.
  const phantom = { length: 2 ** 29 } as Float32Array;
  const tensors = initialTensors(graph, definition, 0).set('fc.weight', phantom).set('fc.bias', phantom);
  expect(() => encodeOnnx(huge, tensors, metadata)).toThrow(OnnxError);
  expect(() => encodeOnnx(huge, tensors, metadata)).toThrow('at most');
});
