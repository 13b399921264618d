import type { PresetName } from '../src/domain/network/definition.js';
import type { Graph } from '../src/domain/network/graph.js';
import { buildGraph } from '../src/domain/network/layers.js';
import { normaliseNetwork, type NetworkDefinition, type NetworkInput } from '../src/domain/network/normalise.js';

const CIFAR = { inputShape: { height: 32, width: 32, channels: 3 }, numClasses: 10 };
const IMAGENET = { inputShape: { height: 224, width: 224, channels: 3 }, numClasses: 1000 };
/** As the peers' scripts have them, layer for layer: projections where the preset pads. */
const projected = (preset: PresetName): NetworkInput => ({
  preset,
  architecture: { shortcut: 'PROJECTION' },
  ...CIFAR,
});

const BENCH_MODELS = {
  resnet20: projected('RESNET20'),
  resnet32: projected('RESNET32'),
  resnet44: projected('RESNET44'),
  resnet56: projected('RESNET56'),
  resnet110: projected('RESNET110'),
  notebook: { preset: 'NOTEBOOK', ...CIFAR },
  resnet18: { preset: 'RESNET18', ...IMAGENET },
  resnet50: { preset: 'RESNET50', ...IMAGENET },
} satisfies Record<string, NetworkInput>;

export interface BenchModel {
  readonly input: NetworkInput;
  readonly definition: NetworkDefinition;
  readonly graph: Graph;
}

/** @throws Error naming the models there are. */
export function benchModel(name: string | undefined): BenchModel {
  const input: NetworkInput | undefined = BENCH_MODELS[name as keyof typeof BENCH_MODELS];
  if (!input) throw new Error(`MODEL is one of ${Object.keys(BENCH_MODELS).join(', ')}, not ${name}`);
  const definition = normaliseNetwork(input);
  return { input, definition, graph: buildGraph(definition) };
}
