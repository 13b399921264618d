import { expect } from 'vitest';

/* eslint-disable @typescript-eslint/no-explicit-any -- the answer of a query */
const countTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** Asserts a run that came to its end with every epoch and every step recorded, each once and in order. */
export function expectWhole(run: any, epochs: number, stepsPerEpoch: number): void {
  expect(run).toMatchObject({ status: 'SUCCEEDED', failure: null, step: epochs * stepsPerEpoch, epoch: epochs });
  expect(run.history.map(({ epoch }: any) => epoch)).toEqual(countTo(epochs));
  expect(run.steps.map(({ step }: any) => step)).toEqual(countTo(epochs * stepsPerEpoch));
}

/** SHA-256 of the published safetensors. */
export const weightsOf = (run: any): string =>
  run.version.artifacts.find(({ kind }: any) => kind === 'SAFETENSORS').sha256;

/** All that a run computed, and nothing of when or where. */
export function resultOf(run: any): unknown {
  return {
    artifacts: run.version.artifacts.map(({ kind, sha256, bytes }: any) => ({ kind, sha256, bytes })),
    evaluation: run.evaluation,
    history: run.history.map(({ imagesPerSecond: _speed, seconds: _seconds, ...numbers }: any) => numbers),
    steps: run.steps.map(({ imagesPerSecond: _speed, ...numbers }: any) => numbers),
  };
}
