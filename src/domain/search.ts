import type { Metric } from './plan.js';
import { canonical } from './search-space.js';
import type { Assignment, JsonValue, ListParameter, RangeParameter, SearchParameter } from './search-space.js';
import { CounterRandom, STREAM, permutation } from './seed.js';

/** Which trials a search consists of. Everything here is a function of its arguments: asked again, it says the same. */
export const SEARCH_ALGORITHMS = ['GRID', 'RANDOM', 'ASHA'] as const;
export type SearchAlgorithm = (typeof SEARCH_ALGORITHMS)[number];

/** Losses fall, accuracies rise. */
export const isLargerBetter = (metric: Metric): boolean => metric.endsWith('_ACCURACY');

export const MAX_TRIALS = 1_000;
/** A range so narrow that this many draws do not tell enough values apart gives fewer trials. */
const DRAWS_PER_TRIAL = 200;

/** How many different trials there are; Infinity where a parameter ranges over real numbers. */
export function spaceSize(parameters: readonly SearchParameter[]): number {
  return parameters.reduce((product, parameter) => product * choices(parameter), 1);
}

function choices(parameter: SearchParameter): number {
  if ('values' in parameter) return parameter.values.length;
  return parameter.whole ? parameter.max - parameter.min + 1 : Infinity;
}

/** Every combination, the last parameter changing fastest. */
export function gridTrials(parameters: readonly ListParameter[]): Assignment[] {
  return parameters.reduce<Assignment[]>(
    (trials, { path, values }) => trials.flatMap((trial) => values.map((value) => ({ ...trial, [path]: value }))),
    [{}],
  );
}

/**
 * Drawn by `seed`, no two alike: training is a function of its input, so the same trial twice would tell nothing new
 * (scikit-learn's ParameterSampler does the same with lists). Where there are no more than `trials` of them in all,
 * every combination in a drawn order.
 */
export function randomTrials(parameters: readonly SearchParameter[], trials: number, seed: number): Assignment[] {
  const size = spaceSize(parameters);
  if (size <= trials) {
    const all = gridTrials(parameters.map(listed));
    return [...permutation(seed, STREAM.search, 0, size)].map((index) => all[index]!);
  }
  const drawn = new Map<string, Assignment>();
  for (let draw = 1; drawn.size < trials && draw <= DRAWS_PER_TRIAL * trials; draw++) {
    const trial = drawTrial(parameters, seed, draw);
    const text = canonical(trial);
    if (!drawn.has(text)) drawn.set(text, trial);
  }
  return [...drawn.values()];
}

function drawTrial(parameters: readonly SearchParameter[], seed: number, draw: number): Assignment {
  return Object.fromEntries(
    parameters.map((parameter, index) => [
      parameter.path,
      drawValue(parameter, new CounterRandom(seed, STREAM.search, draw, index)),
    ]),
  );
}

function drawValue(parameter: SearchParameter, random: CounterRandom): JsonValue {
  if ('values' in parameter) return parameter.values[random.integer(parameter.values.length)]!;
  return parameter.whole ? drawWhole(parameter, random.uniform()) : drawReal(parameter, random.uniform());
}

/** To six digits, which is finer than training can tell apart and can be read. */
function drawReal({ min, max, log }: RangeParameter, uniform: number): number {
  const value = between(min, max, log, uniform);
  return clamp(Number(value.toPrecision(6)), min, max);
}

/** Each whole number stands for the stretch of half a unit to both its sides. */
function drawWhole({ min, max, log }: RangeParameter, uniform: number): number {
  return clamp(Math.round(between(min - 0.5, max + 0.5, log, uniform)), min, max);
}

function between(from: number, to: number, log: boolean, uniform: number): number {
  if (!log) return from + uniform * (to - from);
  return Math.exp(Math.log(from) + uniform * (Math.log(to) - Math.log(from)));
}

const clamp = (value: number, min: number, max: number) => Math.min(Math.max(value, min), max);

/** A range of few whole numbers, written out. */
function listed(parameter: SearchParameter): ListParameter {
  if ('values' in parameter) return parameter;
  const { path, min, max } = parameter;
  return { path, values: Array.from({ length: max - min + 1 }, (_, index) => min + index) };
}
