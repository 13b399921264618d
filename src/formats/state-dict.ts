import { graphTensors, type Graph, type TensorMap } from '../domain/network/graph.js';
import { encodeSafetensors, readSafetensorsIndex, safetensorsView, SafetensorsError } from './safetensors.js';

/**
 * A network's tensors as torchvision's `state_dict` holds them, in a safetensors file: its names, order and layouts
 * (convolutions OIHW, linear layers OI), and behind each batch norm the I64 scalar `num_batches_tracked`.
 */

/** @param trainedSteps how many batches the running statistics have seen. */
export function encodeStateDict(
  graph: Graph,
  tensors: TensorMap,
  trainedSteps: number,
  metadata: Record<string, string> = {},
): Uint8Array {
  const entries = graph.nodes.flatMap((node) => [
    ...node.tensors.map(({ name, shape }) => ({ name, type: 'F32' as const, shape, data: findTensor(tensors, name) })),
    ...(node.kind === 'batchNorm' ? [batchesTracked(node.name, trainedSteps)] : []),
  ]);
  // PyTorch's own files carry the format, and readers such as transformers ask for it.
  return encodeSafetensors(entries, { format: 'pt', ...metadata });
}

/**
 * The float32 tensors of a file by name; integer ones (`num_batches_tracked`) are left out.
 * @throws SafetensorsError where the file is not whole or holds other types.
 */
export function decodeStateDict(bytes: Uint8Array): TensorMap {
  const index = readSafetensorsIndex(bytes);
  if (index.totalBytes !== bytes.byteLength)
    throw new SafetensorsError(`${bytes.byteLength} bytes, where the header tells of ${index.totalBytes}`);
  const tensors: TensorMap = new Map();
  for (const tensor of index.tensors.values()) {
    if (tensor.type === 'I64') continue;
    if (tensor.type !== 'F32') throw new SafetensorsError(`${tensor.name}: ${tensor.type}, where F32 was expected`);
    // A copy: the view may lie at an offset that a Float32Array cannot start at.
    tensors.set(tensor.name, new Float32Array(Uint8Array.from(safetensorsView(bytes, tensor)).buffer));
  }
  return tensors;
}

/**
 * Whether `tensors` are the graph's, by name and size.
 * @throws SafetensorsError that names the first that is missing, of another size, or none of the graph's.
 */
export function checkStateDict(graph: Graph, tensors: TensorMap): void {
  const specs = graphTensors(graph);
  for (const { name, shape } of specs) {
    const length = findTensor(tensors, name).length;
    if (length !== shape.reduce((product, size) => product * size, 1))
      throw new SafetensorsError(`${name}: ${length} values do not make ${JSON.stringify(shape)}`);
  }
  const known = new Set(specs.map(({ name }) => name));
  for (const name of tensors.keys()) if (!known.has(name)) throw new SafetensorsError(`${name}: no tensor of this network`);
}

function findTensor(tensors: TensorMap, name: string): Float32Array {
  const values = tensors.get(name);
  if (!values) throw new SafetensorsError(`${name}: missing`);
  return values;
}

function batchesTracked(name: string, steps: number) {
  return { name: `${name}.num_batches_tracked`, type: 'I64' as const, shape: [], data: BigInt64Array.of(BigInt(steps)) };
}
