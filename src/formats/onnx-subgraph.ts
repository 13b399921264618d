import type { ModelProto, NodeProto } from './onnx-schema.js';

/** The part of a model that some of its outputs follow from, with no others. */
export function keepOutputs(model: ModelProto, names: readonly string[]): ModelProto {
  const { node, initializer, output } = model.graph;
  const needed = ancestors(node, names);
  const graph = {
    ...model.graph,
    node: node.filter((each) => each.output.some((name) => needed.has(name))),
    initializer: initializer.filter(({ name }) => needed.has(name)),
    output: output.filter(({ name }) => names.includes(name)),
  };
  return { ...model, graph };
}

/**
 * The names of everything that values are computed from, and their own.
 * @param nodes in execution order
 */
export function ancestors(nodes: readonly NodeProto[], values: readonly string[]): Set<string> {
  const needed = new Set(values);
  for (const { input, output } of nodes.toReversed())
    if (output.some((name) => needed.has(name))) for (const name of input) needed.add(name);
  return needed;
}
