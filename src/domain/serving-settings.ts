import { integer } from './field-checks.js';

/** How requests for a model are batched. */
export interface ServingSettings {
  /** Images in one batch. */
  readonly maxBatch: number;
  /** How long a request may wait for others although nothing is computing. */
  readonly maxDelayMs: number;
  /** Images that may wait. */
  readonly maxQueue: number;
}

/** What is left out stays as it is. */
export type ServingSettingsInput = { readonly [K in keyof ServingSettings]?: ServingSettings[K] | null | undefined };

/** Above 256 images a batch gains nothing on a CPU and its activations take gigabytes; 1024 images may wait in all. */
const BOUNDS = { maxBatch: [1, 256], maxDelayMs: [0, 10_000], maxQueue: [1, 1_024] } as const;

/**
 * The settings that were given, each within its bounds.
 * @param field dotted path of the input, for the errors
 * @throws BAD_USER_INPUT
 */
export function checkServingSettings(given: ServingSettingsInput, field: string): Partial<ServingSettings> {
  const names = Object.keys(BOUNDS) as (keyof ServingSettings)[];
  const set = names.flatMap((name) => {
    const value = given[name];
    const [least, most] = BOUNDS[name];
    return value == null ? [] : [[name, integer(`${field}.${name}`, value, least, most)] as const];
  });
  return Object.fromEntries(set);
}
