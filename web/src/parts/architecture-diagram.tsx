import { alike, readStages, shapeOf, type Block, type Layer, type Shortcut } from './architecture';
import { count } from './figures';

/** So many blocks that are alike are drawn; what is beyond is a number. */
const DRAWN = 4;

/** Stem, stages and head from left to right, each block with its way round the convolutions. */
export function ArchitectureDiagram({ layers }: { layers: readonly Layer[] }) {
  const stages = readStages(layers);
  const shortcuts = new Set(stages.flatMap(({ blocks }) => blocks.map(({ shortcut }) => shortcut)));
  return (
    <div className="diagram">
      <Legend shortcuts={[...shortcuts]} />
      <ol>
        <li className="stage"><h3>Stem</h3><p className="hint">{stemOf(layers)}</p></li>
        {stages.map(({ blocks, outputShape, parameters }, index) => (
          <li key={index} className="stage">
            <h3>Stage {index + 1}</h3>
            <p className="hint">
              {blocks.length === 1 ? '1 block' : `${blocks.length} blocks`} · {shapeOf(outputShape)} · {count(parameters)} parameters
            </p>
            <div className="blocks">{drawnBlocks(blocks)}</div>
          </li>
        ))}
        <li className="stage"><h3>Head</h3><p className="hint">{headOf(layers)}</p></li>
      </ol>
    </div>
  );
}

const drawnBlocks = (blocks: readonly Block[]) =>
  alike(blocks).flatMap(({ block, count }) => [
    ...Array.from({ length: Math.min(count, DRAWN) }, (_, place) => <BlockDrawing key={`${block.name}-${place}`} block={block} />),
    count > DRAWN && <span key={`${block.name}-more`} className="more">+ {count - DRAWN} alike</span>,
  ]);

const NAMES: Record<Shortcut, string> = {
  identity: 'identity: the input as it is',
  convolution: 'convolution: a 1×1 fits the input to the output',
  padding: 'padding: the input cut and filled with zeros',
};

function Legend({ shortcuts }: { shortcuts: readonly Shortcut[] }) {
  return (
    <ul className="legend" aria-label="Shortcuts">
      {(Object.keys(NAMES) as Shortcut[]).filter((shortcut) => shortcuts.includes(shortcut)).map((shortcut) => (
        <li key={shortcut}>
          <svg width="44" height="22" aria-hidden="true"><Bypass shortcut={shortcut} pools={false} from={4} to={40} base={20} top={9} /></svg>
          {NAMES[shortcut]}
        </li>
      ))}
    </ul>
  );
}

const CELL = 26;
const GAP = 4;
const START = 16;
const BASE = 44;
const TOP = 12;

function BlockDrawing({ block }: { block: Block }) {
  const { name, shortcut, pools, convolutions, squeezes } = block;
  const kernels = convolutions === 3 ? ['1×1', '3×3', '1×1'] : Array.from({ length: convolutions }, () => '3×3');
  const cells = squeezes ? [...kernels, 'SE'] : kernels;
  const sum = START + cells.length * (CELL + GAP) + 6;
  const way = `${shortcut} shortcut${pools ? ' behind an average pool' : ''}`;
  return (
    <svg className={`block ${shortcut}`} width={sum + 10} height="60" role="img" aria-label={`${name}: ${cells.join(', ')}, ${way}`}>
      <path className="way" d={`M0 ${BASE} H${sum + 10}`} />
      {cells.map((text, index) => (
        <g key={index} transform={`translate(${START + index * (CELL + GAP)} ${BASE - 11})`}>
          <rect className="cell" width={CELL} height="22" rx="4" />
          <text x={CELL / 2} y="15">{text}</text>
        </g>
      ))}
      <Bypass shortcut={shortcut} pools={pools} from={8} to={sum} base={BASE} top={TOP} />
      <circle className="sum" cx={sum} cy={BASE} r="7" />
      <path className="way" d={`M${sum - 4} ${BASE} h8 M${sum} ${BASE - 4} v8`} />
    </svg>
  );
}

/** Plain, with a box, or dotted with a ring: to be told apart without any colour. */
function Bypass({ shortcut, pools, from, to, base, top }: {
  shortcut: Shortcut;
  pools: boolean;
  from: number;
  to: number;
  base: number;
  top: number;
}) { // prettier-ignore
  const middle = (from + to) / 2;
  const isSmall = base - top < 20;
  const label = pools ? 'pool, 1×1' : '1×1';
  const width = pools ? 56 : isSmall ? 12 : CELL;
  const height = isSmall ? 8 : 18;
  return (
    <g className={`bypass ${shortcut}`}>
      <path d={`M${from} ${base} V${top + 6} Q${from} ${top} ${from + 6} ${top} H${to - 6} Q${to} ${top} ${to} ${top + 6} V${base - (isSmall ? 0 : 8)}`} />
      {shortcut === 'convolution' && <rect x={middle - width / 2} y={top - height / 2} width={width} height={height} rx="3" />}
      {shortcut === 'convolution' && !isSmall && <text x={middle} y={top + 4}>{label}</text>}
      {shortcut === 'padding' && <circle cx={middle} cy={top} r={isSmall ? 4 : 7} />}
      {shortcut === 'padding' && !isSmall && <text x={middle} y={top + 4}>0</text>}
    </g>
  );
}

function stemOf(layers: readonly Layer[]): string {
  const stem = layers.filter(({ name }) => /^(conv1|maxpool)\b/.test(name));
  const convolutions = stem.filter(({ kind }) => kind === 'conv').length;
  const parts = [convolutions === 1 ? 'convolution' : `${convolutions} convolutions`, ...(stem.some(({ kind }) => kind === 'maxPool') ? ['max pool'] : [])];
  return `${parts.join(', ')} · ${shapeOf(stem.at(-1)?.outputShape ?? [])}`;
}

function headOf(layers: readonly Layer[]): string {
  const classes = layers.at(-1)?.outputShape[0];
  return `global average pool, linear · ${count(classes)} classes`;
}
