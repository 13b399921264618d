import type { TestPlatform } from './platform.js';
import { ask, until } from './training.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- each test knows what it asked for */

/** A sweep over `tiny` on `shapes`, three epochs of it. */
export const sweepInput = (more: Record<string, unknown> = {}, base: Record<string, unknown> = {}) => ({
  name: 'rates',
  base: { model: 'tiny', dataset: 'shapes', epochs: 3, batchSize: 16, precision: 'FLOAT32', ...base },
  parameters: [{ path: 'optimizer.learningRate', values: [0.01, 0.1] }],
  algorithm: 'GRID',
  ...more,
});

/** Its id. */
export async function startSweep(platform: TestPlatform, input: Record<string, unknown>): Promise<string> {
  const { startSweep: sweep } = await ask(
    platform,
    'mutation ($input: StartSweepInput!) { startSweep(input: $input) { id status } }',
    { input },
  );
  return sweep.id;
}

export async function readSweep(platform: TestPlatform, id: string): Promise<any> {
  const { sweep } = await ask(platform, SWEEP, { id });
  return sweep;
}

const SWEEP = `query ($id: ID!) { sweep(id: $id) {
  id name status algorithm metric trials rungs config createdAt finishedAt
  best { id trial }
  runs {
    id number trial status attempts epoch tags config failure finishedAt
    history { epoch trainLoss validationAccuracy validationLoss }
    logs(first: 100) { nodes { message } }
    sweep { id }
  }
} }`;

export async function untilSweepOver(platform: TestPlatform, id: string, timeoutMs = 90_000): Promise<any> {
  let sweep: any;
  await until(async () => (sweep = await readSweep(platform, id)).status !== 'RUNNING', timeoutMs, 200);
  return sweep;
}

/** What its trials trained, all together. */
export const epochsOf = (sweep: any): number => sweep.runs.reduce((sum: number, run: any) => sum + run.history.length, 0);
export const linesOf = (run: any): string[] => run.logs.nodes.map(({ message }: any) => message);
