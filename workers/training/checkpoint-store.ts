import type { Graph } from '../../src/domain/network/graph.js';
import type { TrainingPlan } from '../../src/domain/plan.js';
import { encodeSafetensors, readSafetensorsIndex, SafetensorsError } from '../../src/formats/safetensors.js';
import { decodeStateDict } from '../../src/formats/state-dict.js';
import type { Database } from '../../src/infra/database.js';
import { noteIn, storeUntilNamed } from '../../src/infra/dropped-objects.js';
import { CorruptObjectError, type ObjectStore } from '../../src/infra/objects.js';
import { readCheckpoints, recordCheckpoint } from '../../src/runs/checkpoints.js';
import { nameOrRemove, type Ownership } from '../../src/runs/own-run.js';
import type { RunRecorder } from '../../src/runs/record-progress.js';
import {
  fingerprint,
  ForeignCheckpointError,
  packCheckpoint,
  unpackCheckpoint,
  type Checkpoint,
} from '../../src/training/checkpoint.js';

interface Deps {
  readonly database: Database;
  readonly objects: ObjectStore;
}

/** A note of the object first, then the object, then the row. */
export async function saveCheckpoint(
  deps: Deps,
  recorder: RunRecorder,
  { runId, attempt }: Ownership,
  { plan, graph }: { readonly plan: TrainingPlan; readonly graph: Graph },
  checkpoint: Checkpoint,
): Promise<void> {
  const { tensors, metadata } = packCheckpoint(checkpoint, fingerprint(plan, graph));
  // Which make the object this attempt's alone: what is removed with a row is no other row's, and not stored anew.
  const mark = { run: runId, attempt: String(attempt) };
  const bytes = encodeSafetensors(tensors, { ...metadata, ...mark });
  const { step, position } = checkpoint;
  await storeUntilNamed(async () => {
    const object = await deps.objects.putBytes(bytes, noteIn(deps.database));
    await nameOrRemove(deps, [object.sha256], () =>
      recordCheckpoint(deps, recorder, runId, { ...object, step, epoch: position.epoch }),
    );
  });
}

/** The newest one that can be read and belongs to this plan and network. */
export async function loadCheckpoint(
  deps: Deps,
  runId: string,
  plan: TrainingPlan,
  graph: Graph,
  onUnusable: (message: string) => void,
): Promise<Checkpoint | undefined> {
  for (const { sha256, step } of await readCheckpoints(deps, runId)) {
    try {
      const bytes = await deps.objects.get(sha256);
      return unpackCheckpoint(decodeStateDict(bytes), readSafetensorsIndex(bytes).metadata, fingerprint(plan, graph));
    } catch (error) {
      if (!isUnusable(error)) throw error;
      onUnusable(`the checkpoint of step ${step} cannot be used: ${error.message}`);
    }
  }
  return undefined;
}

const isUnusable = (error: unknown): error is Error =>
  error instanceof CorruptObjectError || error instanceof SafetensorsError || error instanceof ForeignCheckpointError;
