/** What a network's layers say of its shape, read back from torchvision's names: layer2.0.downsample.1 */

export interface Layer {
  readonly name: string;
  readonly kind: string;
  readonly outputShape: readonly number[];
  readonly parameters: number;
  readonly flops: number | string;
}

/** How a block's input reaches its sum: as it is, through a convolution, or cut and padded with zeros. */
export type Shortcut = 'identity' | 'convolution' | 'padding';

export interface Block {
  readonly name: string;
  readonly shortcut: Shortcut;
  /** An average pool stands before the shortcut's convolution. */
  readonly pools: boolean;
  /** Convolutions on the way from the block's input to its sum. */
  readonly convolutions: number;
  readonly squeezes: boolean;
}

export interface Stage {
  readonly blocks: readonly Block[];
  /** C, H, W */
  readonly outputShape: readonly number[];
  readonly parameters: number;
}

const IN_BLOCK = /^layer(\d+)\.(\d+)\.(.+)$/;

export function readStages(layers: readonly Layer[]): Stage[] {
  const stages: Layer[][][] = [];
  for (const layer of layers) {
    const [, stage, block] = IN_BLOCK.exec(layer.name) ?? [];
    if (stage === undefined || block === undefined) continue;
    ((stages[Number(stage) - 1] ??= [])[Number(block)] ??= []).push(layer);
  }
  return stages.map((blocks) => ({
    blocks: blocks.map(readBlock),
    outputShape: blocks.at(-1)!.at(-1)!.outputShape,
    parameters: blocks.flat().reduce((sum, { parameters }) => sum + parameters, 0),
  }));
}

function readBlock(layers: readonly Layer[]): Block {
  const within = layers.map(({ name, kind }) => ({ part: IN_BLOCK.exec(name)![3]!, kind }));
  const bypass = within.filter(({ part }) => part.startsWith('downsample'));
  const isConvolution = ({ kind }: { kind: string }) => kind === 'conv';
  return {
    name: layers[0]!.name.split('.').slice(0, 2).join('.'),
    shortcut: bypass.some(isConvolution) ? 'convolution' : bypass.length > 0 ? 'padding' : 'identity',
    pools: bypass.some(({ kind }) => kind === 'averagePool'),
    convolutions: within.filter((layer) => isConvolution(layer) && /^conv\d/.test(layer.part)).length,
    squeezes: within.some(({ part }) => part.startsWith('se.')),
  };
}

/** Neighbours that are alike, together: a stage is often one block and then many of another kind. */
export function alike(blocks: readonly Block[]): Block[][] {
  const runs: Block[][] = [];
  for (const block of blocks) {
    const last = runs.at(-1);
    if (last && sameKind(last[0]!, block)) last.push(block);
    else runs.push([block]);
  }
  return runs;
}

const sameKind = (one: Block, other: Block) =>
  one.shortcut === other.shortcut && one.pools === other.pools && one.convolutions === other.convolutions;

export const shapeOf = (shape: readonly number[]): string => shape.join(' × ');
