import { createHash } from 'node:crypto';
import type { Graph, TensorMap } from '../domain/network/graph.js';
import type { TrainingPlan } from '../domain/plan.js';
import type { StoppingState } from './early-stopping.js';

/** How far a run has come. */
export interface Position {
  /** 0-based epoch in progress: so many are complete, validation included. */
  readonly epoch: number;
  /** Batches of that epoch that were trained; all of them when only its validation is missing. */
  readonly batch: number;
  /** Over those batches. */
  readonly sums: EpochSums;
}

export interface EpochSums {
  readonly images: number;
  readonly lossSum: number;
  readonly correct: number;
  /** Time spent in earlier attempts included. */
  readonly seconds: number;
}

export const EPOCH_START: EpochSums = { images: 0, lossSum: 0, correct: 0, seconds: 0 };
export const RUN_START: Position = { epoch: 0, batch: 0, sums: EPOCH_START };

/** Everything that the rest of the run depends on: restored, it goes on bit for bit. */
export interface Checkpoint {
  readonly position: Position;
  /** Steps taken since the run began. */
  readonly step: number;
  /** Weights and running statistics, by state_dict name. */
  readonly tensors: TensorMap;
  readonly optimizerState: TensorMap;
  /** Of plans with `emaDecay`: the average of each of `tensors`. */
  readonly averages?: TensorMap | undefined;
  /** Of plans with `earlyStopping`, after the first epoch. */
  readonly stopping?: StoppingState | undefined;
}

/** A checkpoint as named arrays and text, which any container of tensors can hold. */
export interface PackedCheckpoint {
  readonly tensors: readonly {
    readonly name: string;
    readonly type: 'F32';
    readonly shape: readonly [number];
    readonly data: Float32Array;
  }[];
  readonly metadata: Record<string, string>;
}

/** The checkpoint does not belong to this plan and network, or is of a format that this program does not know. */
export class ForeignCheckpointError extends Error {
  override readonly name = 'ForeignCheckpointError';
}

/** Format 2 may have averages and the state of early stopping; 1 had neither. */
const FORMAT = '2';
const READABLE: readonly (string | undefined)[] = ['1', FORMAT];
const PREFIX = { tensors: 'model.', optimizerState: 'optimizer.', averages: 'average.' } as const;

/** What decides every number of a run: a checkpoint goes on under the same plan and network only. */
export function fingerprint(plan: TrainingPlan, graph: Graph): string {
  return createHash('sha256')
    .update(JSON.stringify([plan, graph]))
    .digest('hex');
}

export function packCheckpoint(checkpoint: Checkpoint, belongsTo: string): PackedCheckpoint {
  const pack = (map: TensorMap, prefix: string) =>
    [...map].map(([name, data]) => ({
      name: prefix + name,
      type: 'F32' as const,
      shape: [data.length] as const,
      data,
    }));
  const { averages, stopping } = checkpoint;
  return {
    tensors: [
      ...pack(checkpoint.tensors, PREFIX.tensors),
      ...pack(checkpoint.optimizerState, PREFIX.optimizerState),
      ...(averages ? pack(averages, PREFIX.averages) : []),
    ],
    metadata: {
      format: FORMAT,
      fingerprint: belongsTo,
      step: String(checkpoint.step),
      // JSON keeps every bit of a double.
      position: JSON.stringify(checkpoint.position),
      ...(stopping && { stopping: JSON.stringify(stopping) }),
    },
  };
}

/** @throws ForeignCheckpointError */
export function unpackCheckpoint(
  tensors: Iterable<readonly [name: string, data: Float32Array]>,
  metadata: Readonly<Record<string, string>>,
  belongsTo: string,
): Checkpoint {
  if (!READABLE.includes(metadata['format']))
    throw new ForeignCheckpointError(`checkpoint of format ${metadata['format']}, not ${READABLE.join(' or ')}`);
  if (metadata['fingerprint'] !== belongsTo) throw new ForeignCheckpointError('checkpoint of another plan or network');
  const all = [...tensors];
  const unpack = (prefix: string) =>
    new Map(all.filter(([name]) => name.startsWith(prefix)).map(([name, data]) => [name.slice(prefix.length), data]));
  const averages = unpack(PREFIX.averages);
  const stopping = metadata['stopping'];
  return {
    position: JSON.parse(metadata['position']!) as Position,
    step: Number(metadata['step']),
    tensors: unpack(PREFIX.tensors),
    optimizerState: unpack(PREFIX.optimizerState),
    ...(averages.size > 0 && { averages }),
    ...(stopping !== undefined && { stopping: JSON.parse(stopping) as StoppingState }),
  };
}
