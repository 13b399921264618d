import { describe, expect, test } from 'vitest';
import { initialTensors } from '../../../src/domain/network/initialise.js';
import { buildGraph } from '../../../src/domain/network/layers.js';
import { normaliseNetwork } from '../../../src/domain/network/normalise.js';
import { ForeignWeightsError, IMAGENET, matchWeights, normalisationOf, toFloat32 } from '../../../src/formats/foreign-weights.js';
import { readSafetensorsIndex, type PlacedTensor } from '../../../src/formats/safetensors.js';
import { encodeStateDict } from '../../../src/formats/state-dict.js';
import { ourName, recogniseScheme } from '../../../src/formats/weight-names.js';

const definition = normaliseNetwork({
  architecture: { block: 'BASIC', stages: [{ blocks: 1, width: 8, stride: 1 }, { blocks: 1, width: 16, stride: 2 }] },
  inputShape: { height: 8, width: 8, channels: 3 },
  numClasses: 4,
}); // prettier-ignore
const graph = buildGraph({ ...definition, shortcut: 'PROJECTION' });
const file = encodeStateDict(graph, initialTensors(graph, definition, 1), 7);
const entries = () => new Map(readSafetensorsIndex(file).tensors);
const problem = (tensors: Map<string, PlacedTensor>) => {
  try {
    matchWeights(graph, { tensors });
  } catch (error) {
    expect(error).toBeInstanceOf(ForeignWeightsError);
    return (error as Error).message;
  }
  throw new Error('it was taken');
};

describe('names of transformers', () => {
  test.each([
    ['resnet.embedder.embedder.convolution.weight', 'conv1.weight'],
    ['resnet.embedder.embedder.normalization.running_var', 'bn1.running_var'],
    ['resnet.encoder.stages.0.layers.0.layer.0.convolution.weight', 'layer1.0.conv1.weight'],
    ['resnet.encoder.stages.3.layers.2.layer.2.normalization.num_batches_tracked', 'layer4.2.bn3.num_batches_tracked'],
    ['resnet.encoder.stages.1.layers.0.shortcut.convolution.weight', 'layer2.0.downsample.0.weight'],
    ['resnet.encoder.stages.1.layers.0.shortcut.normalization.bias', 'layer2.0.downsample.1.bias'],
    ['classifier.1.bias', 'fc.bias'],
  ])('%s is %s', (theirs, ours) => {
    expect(recogniseScheme([theirs])).toBe('TRANSFORMERS');
    expect(ourName('TRANSFORMERS', theirs)).toBe(ours);
  });

  test("that no ResNet of theirs has are nobody's", () => {
    expect(ourName('TRANSFORMERS', 'vit.encoder.layer.0.weight')).toBeNull();
    expect(recogniseScheme(['vit.encoder.layer.0.weight'])).toBeNull();
  });
});

describe('weights', () => {
  test('of the network are found, with or without the counters of batches', () => {
    const { scheme, tensors, batchesTracked } = matchWeights(graph, { tensors: entries() });
    const count = graph.nodes.flatMap((node) => node.tensors).length;
    expect([scheme, tensors.size, batchesTracked?.name]).toEqual(['TORCHVISION', count, 'bn1.num_batches_tracked']);
    const without = new Map([...entries()].filter(([name]) => !name.endsWith('num_batches_tracked')));
    expect(matchWeights(graph, { tensors: without }).batchesTracked).toBeNull();
  });

  test('that are missing, too many and misshapen are each named', () => {
    const tensors = entries();
    tensors.delete('layer1.0.bn1.bias');
    tensors.set('layer9.0.conv1.weight', { ...tensors.get('fc.bias')!, name: 'layer9.0.conv1.weight' });
    tensors.set('conv1.weight', { ...tensors.get('conv1.weight')!, shape: [16, 3, 7, 7] });
    tensors.set('bn1.weight', { ...tensors.get('bn1.weight')!, type: 'I32' });
    expect(problem(tensors)).toBe(
      "missing: layer1.0.bn1.bias; none of this network's: layer9.0.conv1.weight; of another shape or type: " +
        `conv1.weight is [16, 3, 7, 7], not [${graph.nodes[0]!.tensors[0]!.shape.join(', ')}], bn1.weight holds I32, not F32, F16, BF16`,
    );
  });

  test('that are missing in numbers are counted past the twentieth', () => {
    const tensors = new Map([...entries()].slice(0, 1));
    expect(problem(tensors)).toMatch(/^missing: (\S+, ){19}\S+ and \d+ more$/);
  });

  test("of nobody's names are refused with what the names are", () => {
    const tensors = new Map([['stem.conv.weight', { ...entries().get('conv1.weight')!, name: 'stem.conv.weight' }]]);
    expect(problem(tensors)).toMatch(/torchvision.*transformers.*stem\.conv\.weight/);
  });
});

describe('halves become float32 exactly', () => {
  const bytes = (...halves: number[]) => new Uint8Array(Uint16Array.from(halves).buffer);

  test('float16, its subnormals too', () => {
    const values = toFloat32({ name: 'x', type: 'F16' }, bytes(0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x3555));
    expect([...values]).toEqual([1, -2, 65504, 2 ** -24, -0, 0.333251953125]);
  });

  test('bfloat16', () => {
    expect([...toFloat32({ name: 'x', type: 'BF16' }, bytes(0x3f80, 0xc040, 0x0000))]).toEqual([1, -3, 0]);
  });

  test.each([['F16', 0x7c00], ['BF16', 0x7fc0]] as const)('%s that is no finite number is refused by name', (type, half) => {
    expect(() => toFloat32({ name: 'fc.bias', type }, bytes(half))).toThrow(/fc\.bias holds (Infinity|NaN)/);
  });
});

describe('the normalisation', () => {
  test("is the file's, else ImageNet's, else a half", () => {
    expect(normalisationOf({ mean: '[0.1]', std: '[0.2]' }, 1)).toEqual({ mean: [0.1], std: [0.2] });
    expect(normalisationOf({}, 3)).toEqual(IMAGENET);
    expect(normalisationOf({}, 1)).toEqual({ mean: [0.5], std: [0.5] });
  });

  test.each([{ mean: '[0.1]' }, { mean: '[0.1, 0.2]', std: '[1]' }, { mean: '[0.1]', std: '[-1]' }, { mean: 'x', std: '[1]' }])(
    '%j is refused',
    (metadata) => {
      expect(() => normalisationOf(metadata as unknown as Record<string, string>, 1)).toThrow(ForeignWeightsError);
    },
  );
});
