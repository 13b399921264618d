import type { PresetName } from './network/presets.js';
import type { PlanInput } from './plan.js';

/** What a training of a network is by default, where its source says so: the parts that `startTraining` leaves out. */
export type Recipe = Pick<PlanInput, 'optimizer' | 'schedule'>;

/** Keras's `optimizers.Adam(0.001)`, whose epsilon is 1e-7, with nothing else: the notebook's `compile`. */
const NOTEBOOK: Recipe = {
  optimizer: { kind: 'ADAM', learningRate: 0.001, weightDecay: 0, epsilon: 1e-7 },
  schedule: { kind: 'CONSTANT' },
};

/** `preset` of the model, null for one without. Empty where the contract's own defaults hold. */
export function defaultRecipe(preset: string | null): Recipe {
  const recipes: { readonly [P in PresetName]?: Recipe } = { NOTEBOOK };
  return recipes[preset as PresetName] ?? {};
}
