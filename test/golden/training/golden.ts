import { readFileSync } from 'node:fs';
import type { NetworkDefinition } from '../../../src/domain/network/definition.js';
import { graphTensors, type Graph, type TensorMap } from '../../../src/domain/network/graph.js';
import { buildGraph } from '../../../src/domain/network/layers.js';
import type { OptimizerPlan } from '../../../src/domain/plan.js';
import { readSafetensorsIndex, safetensorsView } from '../../../src/formats/safetensors.js';
import type { Batch } from '../../../src/training/engine.js';

/** What PyTorch made of a small network in training: see make.py beside this file. */
export interface TrainingGolden {
  readonly name: string;
  readonly definition: NetworkDefinition;
  readonly graph: Graph;
  readonly initial: TensorMap;
  readonly labelSmoothing: number;
  readonly optimizers: Readonly<Record<string, OptimizerPlan>>;
  tensor(name: string): Float32Array;
  /** The batches in turn. */
  batch(step: number): Batch;
}

export function readTrainingGolden(name: string): TrainingGolden {
  const file = readFileSync(`${import.meta.dirname}/${name}.safetensors`);
  const { tensors, metadata } = readSafetensorsIndex(file);
  const bytesOf = (key: string) => Uint8Array.from(safetensorsView(file, tensors.get(key)!)).buffer;
  const tensor = (key: string) => new Float32Array(bytesOf(key));
  const definition = JSON.parse(metadata['definition']!) as NetworkDefinition;
  const graph = buildGraph(definition);
  const initial = new Map(graphTensors(graph).map((spec) => [spec.name, tensor(`initial.${spec.name}`)]));
  const [batches, size] = tensors.get('labels')!.shape as [number, number];
  const [images, labels] = [tensor('images'), new Int32Array(bytesOf('labels'))];
  const part = <T extends Float32Array | Int32Array>(all: T, index: number) =>
    all.subarray((index * all.length) / batches, ((index + 1) * all.length) / batches) as T;
  const batch = (step: number) => ({ size, images: part(images, step % batches), labels: part(labels, step % batches) });
  const optimizers = JSON.parse(metadata['optimizers']!) as Record<string, OptimizerPlan>;
  return { name, definition, graph, initial, labelSmoothing: Number(metadata['labelSmoothing']), optimizers, tensor, batch };
}
