import { withLaterFields, type TrainingPlan } from '../domain/plan.js';
import type { TrainingRun } from '../infra/prisma/client.js';

/** The whole input with every default filled in: what the run's `config` shows. */
export interface RunConfig extends Omit<TrainingPlan, 'initialWeights'> {
  readonly model: string;
  readonly dataset: string;
  /** As given: the plan says what it meant. Left out where there is none, as in rows from before there was such. */
  readonly initialWeights?: string;
  readonly priority: number;
  readonly tags: readonly string[];
  /** Left out where there are none but those of epochs. */
  readonly checkpointEverySteps?: number;
  readonly keepCheckpoints: number;
  /** Left out where it was not asked for, as in rows from before there was such. */
  readonly quantize?: true;
}

export const KEPT_CHECKPOINTS = 2;

/**
 * A run's config as one from today would have been stored: a row from before there were some fields says by their
 * absence what the defaults say, so runs of the same input have equal configs whenever they were started.
 */
export function storedConfig({ config }: Pick<TrainingRun, 'config'>): RunConfig {
  const stored: Omit<RunConfig, 'keepCheckpoints'> = withLaterFields(config as unknown as RunConfig);
  return { keepCheckpoints: KEPT_CHECKPOINTS, ...stored };
}
