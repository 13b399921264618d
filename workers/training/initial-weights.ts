import { setImmediate as turn } from 'node:timers/promises';
import type { NetworkDefinition } from '../../src/domain/network/definition.js';
import type { Graph, TensorMap } from '../../src/domain/network/graph.js';
import { drawTensors } from '../../src/domain/network/initialise.js';
import { transferTensors } from '../../src/domain/network/transfer.js';
import type { TrainingPlan } from '../../src/domain/plan.js';
import { decodeStateDict } from '../../src/formats/state-dict.js';
import type { ObjectStore } from '../../src/infra/objects.js';

/**
 * What a run starts from: drawn from its seed, and where the plan names weights, those with the head drawn if it
 * differs.
 * @throws CorruptObjectError, SafetensorsError where the weights cannot be read any more.
 */
export async function loadInitialTensors(
  { objects }: { readonly objects: ObjectStore },
  { seed, initialWeights }: TrainingPlan,
  definition: NetworkDefinition,
  graph: Graph,
  tell: (message: string) => void,
): Promise<TensorMap> {
  const drawn: TensorMap = new Map();
  for (const [name, values] of drawTensors(graph, definition, seed)) {
    drawn.set(name, values);
    // A worker whose heartbeat and lock wait for this would lose its run.
    await turn();
  }
  if (!initialWeights) return drawn;
  const given = decodeStateDict(await objects.get(initialWeights.sha256));
  const { tensors, taken, reinitialised } = transferTensors(graph, drawn, given);
  const head = reinitialised.length > 0 ? `${reinitialised.join(', ')} re-initialised` : 'nothing re-initialised';
  tell(`starts from ${initialWeights.reference} (${initialWeights.sha256}): ${taken.length} tensors taken, ${head}`);
  return tensors;
}
