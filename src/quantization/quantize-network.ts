import type { OpenDataset } from '../datasets/read-dataset.js';
import type { Evaluation } from '../domain/evaluation.js';
import { foldBatchNorms } from '../domain/network/fold.js';
import type { Graph, TensorMap } from '../domain/network/graph.js';
import { quantizeOnnx } from '../formats/onnx-int8.js';
import { encodeOnnx, type OnnxMetadata } from '../formats/onnx.js';
import { calibrate } from './calibrate.js';
import { evaluateOnnx } from './evaluate-onnx.js';
import type { OpenOnnx } from './inference.js';

export interface QuantizedNetwork {
  readonly onnx: Uint8Array;
  /** On TEST, by the quantised file itself. */
  readonly evaluation: Evaluation;
}

/** A trained network in eight bits: its batch norms folded, calibrated on TRAIN and evaluated on TEST. */
export async function quantizeNetwork(
  open: OpenOnnx,
  { graph, tensors }: { readonly graph: Graph; readonly tensors: TensorMap },
  metadata: OnnxMetadata,
  data: OpenDataset,
  signal: AbortSignal,
): Promise<QuantizedNetwork> {
  const folded = foldBatchNorms(graph, tensors);
  const float = encodeOnnx(folded.graph, folded.tensors, metadata);
  const onnx = quantizeOnnx(float, await calibrate(open, float, data, metadata, signal));
  // A copy of its own: what is opened may be handed over to the runtime's thread.
  return { onnx, evaluation: await evaluateOnnx(open, Uint8Array.from(onnx), data, metadata, signal) };
}
