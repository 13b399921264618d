import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PRESET_NAMES, type PresetName } from '../../src/domain/network/definition.js';
import { countParameters } from '../../src/domain/network/flops.js';
import { foldBatchNorms } from '../../src/domain/network/fold.js';
import { graphTensors, type Graph, type TensorMap } from '../../src/domain/network/graph.js';
import { initialTensors } from '../../src/domain/network/initialise.js';
import { buildGraph } from '../../src/domain/network/layers.js';
import { normaliseNetwork } from '../../src/domain/network/normalise.js';
import { encodeCalibrationOnnx } from '../../src/formats/onnx-calibration.js';
import { quantizeOnnx } from '../../src/formats/onnx-int8.js';
import { encodeOnnx } from '../../src/formats/onnx.js';

/** Every preset as ONNX: valid to the `onnx` package's checker (Debian's python3-onnx), and run by onnxruntime. */

/** Debian's own interpreter, whatever else is in the PATH: its packages are not seen by others. */
const PYTHON = '/usr/bin/python3';
const CHECKER = path.join(import.meta.dirname, 'check_onnx.py');

/** The smallest side that all strides let pass, so that the structure is all that costs time. */
const SIDE = 32;
const CLASSES = ['aeroplane', 'car', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'café'];
const METADATA = { classNames: CLASSES, mean: [0.49, 0.48, 0.45], std: [0.25, 0.24, 0.26] };
/** Of parameters. Above it a network is taken a quarter as wide: of the same structure, and not half a gigabyte to check. */
const LARGE = 12_000_000;

let folder: string;
let checker: ReturnType<typeof startChecker>;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'residual-onnx-'));
  checker = startChecker();
});
afterAll(async () => {
  checker.stop();
  await rm(folder, { recursive: true, force: true });
});

/** One process for all files: importing onnx takes longer than checking most of them. */
function startChecker() {
  const child = spawn(PYTHON, [CHECKER], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (file: string) => {
    child.stdin.write(`${file}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error('the checker ended: is python3-onnx installed? (apt-get install python3-onnx)');
    return JSON.parse(value) as object;
  };
  return { ask, stop: () => child.kill() };
}

function define(preset: PresetName) {
  const input = { preset, inputShape: { height: SIDE, width: SIDE, channels: 3 }, numClasses: CLASSES.length };
  const { stem, stages, ...whole } = normaliseNetwork(input);
  const isLarge = countParameters(buildGraph({ stem, stages, ...whole })) > LARGE;
  const narrower = <T extends { readonly width: number }>(part: T): T => ({ ...part, width: part.width / (isLarge ? 4 : 1) });
  const definition = normaliseNetwork({ ...input, architecture: { stem: narrower(stem), stages: stages.map(narrower) } });
  return { definition, graph: buildGraph(definition) };
}

/** Views of one array: what they hold does not matter to the structure. */
function sharedTensors(graph: Graph): TensorMap {
  const sizes = graphTensors(graph).map(({ name, shape }) => [name, shape.reduce((size, next) => size * next, 1)] as const);
  const values = new Float32Array(Math.max(...sizes.map(([, size]) => size))).fill(0.01);
  return new Map(sizes.map(([name, size]) => [name, values.subarray(0, size)]));
}

async function check(preset: PresetName, onnx: Uint8Array): Promise<object> {
  const file = path.join(folder, `${preset}.onnx`);
  await writeFile(file, onnx);
  return checker.ask(file).finally(() => rm(file));
}

/** Of what the network's last pooling reads. */
function pooledSize({ nodes }: Graph): number[] {
  const [pooled] = nodes.find(({ name }) => name === 'avgpool')!.inputs;
  return nodes.find(({ name }) => name === pooled)!.outputShape.slice(1);
}

async function probabilitiesOf(session: InferenceSession, images: Float32Array, batch: number): Promise<number[]> {
  const input = new Tensor('float32', images.subarray(0, batch * 3 * SIDE ** 2), [batch, 3, SIDE, SIDE]);
  const { probabilities } = await session.run({ input });
  expect(probabilities!.dims).toEqual([batch, CLASSES.length]);
  return [...(probabilities!.data as Float32Array)];
}

describe.each(PRESET_NAMES)('%s', (preset) => {
  const { definition, graph } = define(preset);
  const tensors = initialTensors(graph, definition, 1);

  it('is ONNX to its own checker, with a batch of any size and all that a server needs to know', async () => {
    expect(await check(preset, encodeOnnx(graph, tensors, METADATA))).toMatchObject({
      opset: [17],
      inputs: { input: ['batch', 3, SIDE, SIDE] },
      outputs: {
        logits: ['batch', CLASSES.length],
        probabilities: ['batch', CLASSES.length],
        class_activation_map: ['batch', ...pooledSize(graph)],
      },
      metadata: { class_names: CLASSES, mean: METADATA.mean, std: METADATA.std, input_shape: [3, SIDE, SIDE] },
      operators: expect.arrayContaining(['Softmax']),
    });
  });

  it('runs in onnxruntime, an image alone as in a batch, and puts out probabilities', async () => {
    const session = await InferenceSession.create(encodeOnnx(graph, tensors, METADATA));
    const images = Float32Array.from({ length: 3 * 3 * SIDE ** 2 }, (_, index) => Math.sin(index * index));
    const three = await probabilitiesOf(session, images, 3);
    const one = await probabilitiesOf(session, images, 1);
    await session.release();
    for (const [index, probability] of one.entries()) expect(three[index]).toBeCloseTo(probability, 4);
    expect(one.reduce((sum, probability) => sum + probability, 0)).toBeCloseTo(1, 4);
  });
});

/** One of each structure. */
const QUANTIZED: PresetName[] = [
  'RESNET20', 'NOTEBOOK', 'PREACT_RESNET164', 'WIDE_RESNET16_4', 'SE_RESNET18', 'RESNET50D', 'RESNEXT50_32X4D',
]; // prettier-ignore

it.each(QUANTIZED)('%s in eight bits, and what calibrates it, are ONNX to the same checker', async (preset) => {
  const { graph } = define(preset);
  const folded = foldBatchNorms(graph, sharedTensors(graph));
  const onnx = encodeOnnx(folded.graph, folded.tensors, METADATA);
  const calibration = encodeCalibrationOnnx(onnx);
  expect(await check(preset, calibration.onnx)).toMatchObject({
    outputs: { extremes: ['batch', 2 * calibration.values.length] },
  });
  const ranges = new Map([...calibration.values, 'input'].map((value) => [value, { min: -1, max: 2 }]));
  const int8 = quantizeOnnx(onnx, ranges);
  expect(int8.length).toBeLessThan(0.35 * onnx.length);
  expect(await check(preset, int8)).toMatchObject({
    opset: [17],
    inputs: { input: ['batch', 3, SIDE, SIDE] },
    outputs: { logits: ['batch', CLASSES.length], probabilities: ['batch', CLASSES.length] },
    metadata: { class_names: CLASSES, mean: METADATA.mean, std: METADATA.std, input_shape: [3, SIDE, SIDE] },
    operators: expect.arrayContaining(['QuantizeLinear', 'DequantizeLinear']),
  });
});
