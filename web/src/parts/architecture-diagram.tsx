import { alike, readStages, shapeOf, type Block, type Layer, type Shortcut } from './architecture';
import { count } from './figures';

/** So many blocks that are alike are drawn; what is beyond is a number. */
const DRAWN = 4;

/** Stem, stages and head in their order, each block with its way round the convolutions. */
export function ArchitectureDiagram({ layers }: { layers: readonly Layer[] }) {
  const stages = readStages(layers);
  const shortcuts = new Set(stages.flatMap(({ blocks }) => blocks.map(({ shortcut }) => shortcut)));
  return (
    <div className="diagram">
      <Legend shortcuts={shortcuts} />
      <ol>
        <li className="stage"><h3>Stem</h3><p className="hint">{stemOf(layers)}</p></li>
        {stages.map(({ blocks, outputShape, parameters }, index) => (
          <li key={index} className="stage">
            <h3>Stage {index + 1}</h3>
            <p className="hint">
              {blocks.length} {blocks.length === 1 ? 'block' : 'blocks'} · {shapeOf(outputShape)} ·{' '}
              {count(parameters)} parameters
            </p>
            <div className="blocks">{blocksOf(blocks)}</div>
          </li>
        ))}
        <li className="stage"><h3>Head</h3><p className="hint">{headOf(layers)}</p></li>
      </ol>
    </div>
  );
}

const blocksOf = (blocks: readonly Block[]) =>
  alike(blocks).flatMap((run) => [
    ...run.slice(0, DRAWN).map((block) => <BlockDrawing key={block.name} block={block} />),
    run.length > DRAWN && <span key={`${run[0]!.name}-more`} className="more">+ {run.length - DRAWN} alike</span>,
  ]);

const NAMES: Record<Shortcut, string> = {
  identity: 'identity: the input as it is',
  convolution: 'convolution: a 1×1 fits the input to the output',
  padding: 'padding: the input thinned out and filled with zeros',
};

function Legend({ shortcuts }: { shortcuts: ReadonlySet<Shortcut> }) {
  const shown = (Object.keys(NAMES) as Shortcut[]).filter((shortcut) => shortcuts.has(shortcut));
  return (
    <ul className="legend" aria-label="Shortcuts">
      {shown.map((shortcut) => (
        <li key={shortcut}>
          <svg width="60" height="30" aria-hidden="true">
            <Bypass shortcut={shortcut} label="1×1" from={4} to={56} base={30} />
          </svg>
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
  const width = sum + 10;
  const way = `${shortcut} shortcut${pools ? ' behind an average pool' : ''}`;
  return (
    <svg width={width} height="60" role="img" aria-label={`${name}: ${cells.join(', ')}, ${way}`}>
      <path className="way" d={`M0 ${BASE} H${width}`} />
      {cells.map((text, index) => (
        <g key={index} transform={`translate(${START + index * (CELL + GAP)} ${BASE - 11})`}>
          <rect className="cell" width={CELL} height="22" rx="4" />
          <text x={CELL / 2} y="15">{text}</text>
        </g>
      ))}
      <Bypass shortcut={shortcut} label={pools ? 'pool, 1×1' : '1×1'} from={8} to={sum} base={BASE - 8} />
      <path className="way" d={`M8 ${BASE} V${BASE - 8}`} />
      <circle className="sum" cx={sum} cy={BASE} r="7" />
      <path className="way" d={`M${sum - 4} ${BASE} h8 M${sum} ${BASE - 4} v8`} />
    </svg>
  );
}

/** Plain, with a box, or dotted with a ring: to be told apart without any colour. */
function Bypass({ shortcut, label, from, to, base }: {
  shortcut: Shortcut;
  label: string;
  from: number;
  to: number;
  base: number;
}) { // prettier-ignore
  const middle = (from + to) / 2;
  const width = label.length * 6 + 8;
  const [left, right, shoulder] = [from + 6, to - 6, TOP + 6];
  return (
    <g className={`bypass ${shortcut}`}>
      <path d={`M${from} ${base} V${shoulder} Q${from} ${TOP} ${left} ${TOP} H${right} Q${to} ${TOP} ${to} ${shoulder} V${base}`} />
      {shortcut === 'convolution' && (
        <>
          <rect x={middle - width / 2} y={TOP - 9} width={width} height="18" rx="3" />
          <text x={middle} y={TOP + 4}>{label}</text>
        </>
      )}
      {shortcut === 'padding' && (
        <>
          <circle cx={middle} cy={TOP} r="7" />
          <text x={middle} y={TOP + 4}>0</text>
        </>
      )}
    </g>
  );
}

function stemOf(layers: readonly Layer[]): string {
  const stem = layers.filter(({ name }) => /^(conv1|maxpool)\b/.test(name));
  const convolutions = stem.filter(({ kind }) => kind === 'conv').length;
  const pool = stem.some(({ kind }) => kind === 'maxPool') ? ', max pool' : '';
  const first = convolutions === 1 ? 'convolution' : `${convolutions} convolutions`;
  return `${first}${pool} · ${shapeOf(stem.at(-1)?.outputShape ?? [])}`;
}

const headOf = (layers: readonly Layer[]): string =>
  `global average pool, linear · ${count(layers.at(-1)?.outputShape[0])} classes`;
