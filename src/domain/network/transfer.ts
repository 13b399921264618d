import { graphTensors, type Graph, type TensorMap, type TensorSpec } from './graph.js';

/**
 * Fine-tuning: a network starts from another's weights. Tensors of the same name and shape are taken; the head (the
 * layer that puts out the logits) is drawn anew where it differs, since it belongs to other classes; nothing else may
 * differ.
 */

/** What keeps one network from starting from another's weights, each by the tensor's name; empty where nothing does. */
export function transferProblems(from: Graph, to: Graph): string[] {
  const given = specsByName(from);
  const wanted = specsByName(to);
  const [givenHead, wantedHead] = [headTensors(from), headTensors(to)];
  const problems: string[] = [];
  for (const { name, shape } of wanted.values()) {
    const other = given.get(name);
    if (wantedHead.has(name) || (other && sameShape(other.shape, shape))) continue;
    problems.push(other ? `${name} is [${other.shape.join(', ')}], not [${shape.join(', ')}]` : `${name} is missing`);
  }
  for (const name of given.keys())
    if (!wanted.has(name) && !givenHead.has(name)) problems.push(`${name} is none of this network's`);
  return problems;
}

export interface Transfer {
  /** Every tensor of the network. */
  readonly tensors: TensorMap;
  readonly taken: readonly string[];
  /** As drawn: the head, or nothing. */
  readonly reinitialised: readonly string[];
}

/**
 * @param drawn what the network would start from otherwise
 * @param given the other network's weights, in which `transferProblems` found nothing wrong
 * @throws Error where it would have: the weights are not those that were looked at.
 */
export function transferTensors(graph: Graph, drawn: TensorMap, given: TensorMap): Transfer {
  const fits = ([name, values]: [string, Float32Array]) => given.get(name)?.length === values.length;
  const head = headTensors(graph);
  const keepsHead = [...drawn].filter(([name]) => head.has(name)).every(fits);
  const misfit = [...drawn].find((entry) => !head.has(entry[0]) && !fits(entry));
  if (misfit) throw new Error(`the initial weights have no ${misfit[0]} of ${misfit[1].length} values`);
  const isTaken = (name: string) => keepsHead || !head.has(name);
  const names = [...drawn.keys()];
  return {
    tensors: new Map(names.map((name) => [name, (isTaken(name) ? given : drawn).get(name)!])),
    taken: names.filter(isTaken),
    reinitialised: names.filter((name) => !isTaken(name)),
  };
}

const specsByName = (graph: Graph) =>
  new Map(graphTensors(graph).map((spec): [string, TensorSpec] => [spec.name, spec]));

function headTensors({ nodes, output }: Graph): Set<string> {
  return new Set(nodes.find(({ name }) => name === output)?.tensors.map(({ name }) => name));
}

const sameShape = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((size, i) => size === b[i]);
