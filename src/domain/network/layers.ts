import {
  blockWidths,
  isBottleneck,
  isPreActivated,
  type BlockWidths,
  type NetworkDefinition,
} from './definition.js';
import { INPUT, type Graph, type Node } from './graph.js';
import * as add from './nodes.js';
import type { Wire } from './nodes.js';

/**
 * The network of a definition, under torchvision's module names (timm's where torchvision has none: the deep stem
 * `conv1.0` to `conv1.6`, `se.fc1`, `downsample.1` behind an average pool, the final `norm` of pre-activated networks).
 *
 * Allocates no tensors. The definition is one that `normaliseNetwork` let pass, so the number of nodes is bounded.
 */
export function buildGraph(definition: NetworkDefinition): Graph {
  const { inputShape: image, numClasses } = definition;
  const inputShape = [image.channels, image.height, image.width] as const;
  const nodes: Node[] = [];
  let x = stem(nodes, definition, { name: INPUT, shape: inputShape });
  for (const plan of planBlocks(definition)) x = block(nodes, definition, plan, x);
  if (isPreActivated(definition.block)) x = normRelu(nodes, 'norm', 'norm_relu', x);
  x = add.globalAveragePool(nodes, 'avgpool', x);
  const logits = add.linear(nodes, 'fc', x, numClasses);
  return { inputShape, numClasses, nodes, output: logits.name };
}

/** One block: where it stands, its channels, its stride and its share of stochastic depth. */
interface BlockPlan extends BlockWidths {
  readonly name: string;
  readonly stride: number;
  readonly dropPath: number;
}

function planBlocks(definition: NetworkDefinition): BlockPlan[] {
  const total = definition.stages.reduce((sum, stage) => sum + stage.blocks, 0);
  const plans: BlockPlan[] = [];
  for (const [index, stage] of definition.stages.entries())
    for (let position = 0; position < stage.blocks; position++)
      plans.push({
        ...blockWidths(definition, stage),
        name: `layer${index + 1}.${position}`,
        stride: position === 0 ? stage.stride : 1,
        // Huang et al. 2016, equation 4: survival falls linearly, l / L of the last block's rate at block l.
        dropPath: (definition.dropPath * (plans.length + 1)) / total,
      });
  return plans;
}

/** A pre-activated network's 3x3 stem is a bare convolution: its first block normalises. */
function stem(nodes: Node[], { stem: { kind, width }, block, convBias: bias }: NetworkDefinition, image: Wire): Wire {
  if (kind === 'CONV3X3') {
    const x = add.conv(nodes, 'conv1', image, { outputs: width, kernel: 3, bias });
    return isPreActivated(block) ? x : normRelu(nodes, 'bn1', 'relu', x);
  }
  let x = image;
  if (kind === 'CONV7X7_POOL') x = add.conv(nodes, 'conv1', x, { outputs: width, kernel: 7, stride: 2, bias });
  else {
    const narrow = Math.floor(width / 2);
    x = add.conv(nodes, 'conv1.0', x, { outputs: narrow, kernel: 3, stride: 2, bias });
    x = normRelu(nodes, 'conv1.1', 'conv1.2', x);
    x = add.conv(nodes, 'conv1.3', x, { outputs: narrow, kernel: 3, bias });
    x = normRelu(nodes, 'conv1.4', 'conv1.5', x);
    x = add.conv(nodes, 'conv1.6', x, { outputs: width, kernel: 3, bias });
  }
  return add.maxPool(nodes, 'maxpool', normRelu(nodes, 'bn1', 'relu', x));
}

function block(nodes: Node[], definition: NetworkDefinition, plan: BlockPlan, x: Wire): Wire {
  const preActivated = isPreActivated(definition.block);
  const first = preActivated ? normRelu(nodes, `${plan.name}.bn1`, `${plan.name}.relu1`, x) : x;
  let y = residual(nodes, definition, plan, first);
  if (definition.squeezeExcitation > 0) y = squeezeExcitation(nodes, `${plan.name}.se`, y, definition.squeezeExcitation);
  y = add.drop(nodes, 'dropPath', `${plan.name}.drop_path`, y, plan.dropPath);
  const sum = add.pointwise(nodes, 'add', `${plan.name}.add`, y, shortcut(nodes, definition, plan, x, first));
  return preActivated ? sum : add.pointwise(nodes, 'relu', `${plan.name}.relu`, sum);
}

/** F(x): the block's convolutions, with the norm and ReLU between any two, and a last norm unless pre-activated. */
function residual(nodes: Node[], definition: NetworkDefinition, plan: BlockPlan, x: Wire): Wire {
  const preActivated = isPreActivated(definition.block);
  const convs = residualConvs(definition, plan);
  let y = x;
  for (const [index, options] of convs.entries()) {
    const number = index + 1;
    const isLast = number === convs.length;
    if (isLast) y = add.drop(nodes, 'dropout', `${plan.name}.dropout`, y, definition.dropout);
    y = add.conv(nodes, `${plan.name}.conv${number}`, y, options);
    // The norm behind convolution n is bn<n>, or bn<n+1> where bn1 came before the first.
    const norm = preActivated ? number + 1 : number;
    if (!isLast) y = normRelu(nodes, `${plan.name}.bn${norm}`, `${plan.name}.relu${norm}`, y);
    else if (!preActivated) y = add.batchNorm(nodes, `${plan.name}.bn${norm}`, y);
  }
  return y;
}

function residualConvs(definition: NetworkDefinition, { inner, output, stride }: BlockPlan): add.ConvOptions[] {
  const { block, groups, strideInFirstConv, convBias: bias } = definition;
  if (!isBottleneck(block))
    return [
      { outputs: inner, kernel: 3, stride, bias },
      { outputs: output, kernel: 3, bias },
    ];
  return [
    { outputs: inner, kernel: 1, stride: strideInFirstConv ? stride : 1, bias },
    { outputs: inner, kernel: 3, stride: strideInFirstConv ? 1 : stride, groups, bias },
    { outputs: output, kernel: 1, bias },
  ];
}

/** Hu et al. 2018, figure 2, with timm's 1x1 convolutions for the two fully connected layers. */
function squeezeExcitation(nodes: Node[], name: string, x: Wire, ratio: number): Wire {
  const channels = x.shape[0];
  let gate = add.globalAveragePool(nodes, `${name}.pool`, x);
  gate = add.conv(nodes, `${name}.fc1`, gate, { outputs: Math.floor(channels / ratio), kernel: 1, bias: true });
  gate = add.pointwise(nodes, 'relu', `${name}.relu`, gate);
  gate = add.conv(nodes, `${name}.fc2`, gate, { outputs: channels, kernel: 1, bias: true });
  gate = add.pointwise(nodes, 'sigmoid', `${name}.gate`, gate);
  return add.pointwise(nodes, 'scale', `${name}.scale`, x, gate);
}

/** `x` itself where it fits; a projection reads what the block's first convolution reads. */
function shortcut(nodes: Node[], definition: NetworkDefinition, plan: BlockPlan, x: Wire, first: Wire): Wire {
  const { shortcut: kind, shortcutNorm, convBias: bias } = definition;
  const { output: outputs, stride } = plan;
  const fits = stride === 1 && x.shape[0] === outputs;
  if (fits && kind !== 'PROJECTION_ALL') return x;
  const name = `${plan.name}.downsample`;
  if (kind === 'IDENTITY_PAD') return add.padChannels(nodes, name, x, outputs, stride);
  const averages = kind === 'AVERAGE_POOL';
  let y = averages && stride > 1 ? add.averagePool(nodes, `${name}.0`, first, stride) : first;
  const offset = averages ? 1 : 0;
  y = add.conv(nodes, `${name}.${offset}`, y, { outputs, kernel: 1, stride: averages ? 1 : stride, bias });
  return shortcutNorm ? add.batchNorm(nodes, `${name}.${offset + 1}`, y) : y;
}

function normRelu(nodes: Node[], normName: string, reluName: string, x: Wire): Wire {
  return add.pointwise(nodes, 'relu', reluName, add.batchNorm(nodes, normName, x));
}
