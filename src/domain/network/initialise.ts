import { CounterRandom, STREAM } from '../seed.js';
import { isPreActivated, type NetworkDefinition } from './definition.js';
import { graphTensors, type Graph, type TensorMap, type TensorSpec } from './graph.js';

/**
 * The tensors that training starts from: what torchvision's ResNet draws (convolutions He normal over the outputs,
 * batch norms the identity, the classifier uniform within 1 / sqrt(inputs)), from `seed` alone. Biases of convolutions
 * are 0.
 */
export function initialTensors(graph: Graph, definition: NetworkDefinition, seed: number): TensorMap {
  return new Map(drawTensors(graph, definition, seed));
}

/** The same one by one: of a large network all of them take seconds, which an event loop cannot spare at once. */
export function* drawTensors(
  graph: Graph,
  definition: NetworkDefinition,
  seed: number,
): Generator<[name: string, values: Float32Array]> {
  const specs = graphTensors(graph);
  const weights = new Map(specs.filter(({ role }) => role === 'weight').map((spec) => [moduleOf(spec), spec]));
  const zeros = definition.zeroInitResidual ? residualEnds(graph, definition) : new Set<string>();
  for (const [index, spec] of specs.entries()) {
    const values = new Float32Array(elements(spec.shape));
    const random = new CounterRandom(seed, STREAM.initialise, index);
    if (!zeros.has(spec.name)) fill(values, spec, weights.get(moduleOf(spec)), random);
    yield [spec.name, values];
  }
}

/** `weight`: the module's, which decides how wide its bias is drawn. */
function fill(values: Float32Array, spec: TensorSpec, weight: TensorSpec | undefined, random: CounterRandom): void {
  if (spec.role === 'scale' || spec.role === 'runningVariance') values.fill(1);
  else if (spec.role === 'weight' && spec.shape.length === 4) fillNormal(values, heDeviation(spec.shape), random);
  else if (weight?.shape.length === 2) fillUniform(values, 1 / Math.sqrt(weight.shape[1]!), random);
}

/** He et al. 2015, "Delving Deep into Rectifiers", equation 14: variance 2 / fan-out; PyTorch ignores groups too. */
function heDeviation([outputs, , height, width]: readonly number[]): number {
  return Math.sqrt(2 / (outputs! * height! * width!));
}

function fillNormal(values: Float32Array, deviation: number, random: CounterRandom): void {
  for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal();
}

function fillUniform(values: Float32Array, bound: number, random: CounterRandom): void {
  for (let i = 0; i < values.length; i++) values[i] = bound * (2 * random.uniform() - 1);
}

/**
 * What is zero at the start so that each block is the identity: the last norm's scale (Goyal et al. 2017), or in a
 * pre-activated block, which ends in a convolution, that one's weight (as in timm's ResNetV2).
 */
function residualEnds(graph: Graph, { block }: NetworkDefinition): Set<string> {
  const kind = isPreActivated(block) ? /^(layer\d+\.\d+)\.conv\d+$/ : /^(layer\d+\.\d+)\.bn\d+$/;
  const last = new Map<string, string>();
  for (const { name } of graph.nodes) {
    const match = kind.exec(name);
    if (match) last.set(match[1]!, `${name}.weight`);
  }
  return new Set(last.values());
}

const moduleOf = ({ name }: TensorSpec) => name.slice(0, name.lastIndexOf('.'));
const elements = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
