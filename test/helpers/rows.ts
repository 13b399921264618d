import { normaliseNetwork } from '../../src/domain/network/normalise.js';
import type { Database } from '../../src/infra/database.js';
import type { Dataset, Model, Prisma, TrainingRun } from '../../src/infra/prisma/client.js';
import { CLASS_NAMES, SIDE } from './shapes-data.js';

/** Rows for tests of what comes after them; nothing lies behind the data set's hash. */

export function createModelRow(database: Database, name = 'tiny'): Promise<Model> {
  const inputShape = { height: SIDE, width: SIDE, channels: 1 };
  const architecture = { stem: { kind: 'CONV3X3', width: 8 }, stages: [{ blocks: 1, width: 8, stride: 1 }] } as const;
  const definition = normaliseNetwork({ architecture, inputShape, numClasses: CLASS_NAMES.length });
  return database.model.create({
    data: { name, definition: definition as unknown as Prisma.InputJsonObject, ...inputShape, classNames: CLASS_NAMES },
  });
}

export function createDatasetRow(
  database: Database,
  more: Partial<Prisma.DatasetUncheckedCreateInput> = {},
): Promise<Dataset> {
  return database.dataset.create({
    data: {
      name: 'shapes', version: 1, format: 'IDX', status: 'READY', classNames: CLASS_NAMES, sha256: '0'.repeat(64), bytes: 1,
      height: SIDE, width: SIDE, channels: 1, trainSize: 64, testSize: 16,
      trainCounts: [16, 16, 16, 16], testCounts: [4, 4, 4, 4], channelMean: [0.5], channelStd: [0.25], ...more,
    },
  }); // prettier-ignore
}

export function createRunRow(
  database: Database,
  { model, dataset }: { model: Model; dataset: Dataset },
  more: Partial<Prisma.TrainingRunUncheckedCreateInput> = {},
): Promise<TrainingRun> {
  return database.trainingRun.create({
    data: { modelId: model.id, datasetId: dataset.id, config: {}, plan: {}, totalSteps: 8, ...more },
  });
}
