import { buildGraph } from '../src/domain/network/layers.js';
import { normaliseNetwork, type NetworkDefinition } from '../src/domain/network/normalise.js';
import type { Graph } from '../src/domain/network/graph.js';

const CIFAR = { inputShape: { height: 32, width: 32, channels: 3 }, numClasses: 10 };
const IMAGENET = { inputShape: { height: 224, width: 224, channels: 3 }, numClasses: 1000 };

/** The networks of the peers' scripts, layer for layer: their resnet20 has projections where the preset pads. */
const BENCH_MODELS = {
  resnet20: () => normaliseNetwork({ preset: 'RESNET20', architecture: { shortcut: 'PROJECTION' }, ...CIFAR }),
  notebook: () => normaliseNetwork({ preset: 'NOTEBOOK', ...CIFAR }),
  resnet18: () => normaliseNetwork({ preset: 'RESNET18', ...IMAGENET }),
  resnet50: () => normaliseNetwork({ preset: 'RESNET50', ...IMAGENET }),
} satisfies Record<string, () => NetworkDefinition>;

export const BENCH_MODEL_NAMES = Object.keys(BENCH_MODELS);

/** @throws Error naming the models there are. */
export function benchModel(name: string | undefined): { definition: NetworkDefinition; graph: Graph } {
  const define = BENCH_MODELS[name as keyof typeof BENCH_MODELS];
  if (!define) throw new Error(`MODEL is one of ${BENCH_MODEL_NAMES.join(', ')}, not ${name}`);
  const definition = define();
  return { definition, graph: buildGraph(definition) };
}
