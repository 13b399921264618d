import { z } from 'zod';

/**
 * The queue catalog: name, payload, retries, lock. A payload is an id and a version: old and new processes run side by
 * side during a deployment, so a shape that is in use is never changed in place, it gets a new version.
 */
export const JOBS = {
  train: {
    payload: z.object({ v: z.literal(1), runId: z.string() }),
    /** Deterministic, so that a run is never queued twice. */
    jobId: (payload: { runId: string }) => `train-${payload.runId}`,
    /**
     * A killed worker's job is found after at most lockDurationMs + stalledIntervalMs and goes back to the queue; the
     * promise is 15 s.
     */
    lockDurationMs: 6_000,
    stalledIntervalMs: 3_000,
    /** A killed worker is no fault of the run's: only a run that kills its worker over and over is given up. */
    maxStalledCount: 20,
  },
  'validate-dataset': {
    payload: z.object({ v: z.literal(1), datasetId: z.string() }),
    jobId: (payload: { datasetId: string }) => `validate-${payload.datasetId}`,
    lockDurationMs: 6_000,
    stalledIntervalMs: 3_000,
    maxStalledCount: 3,
  },
  'quantize-version': {
    payload: z.object({ v: z.literal(1), versionId: z.string() }),
    jobId: (payload: { versionId: string }) => `quantize-${payload.versionId}`,
    lockDurationMs: 6_000,
    stalledIntervalMs: 3_000,
    /** Its row counts the attempts that never came back. */
    maxStalledCount: 20,
  },
} as const;

export type JobName = keyof typeof JOBS;
export type JobPayload<N extends JobName> = z.infer<(typeof JOBS)[N]['payload']>;
