import { settingsOf, showSetting } from '../run/config';
import type { Entries } from '../../parts/input-entries';

/** A run's config as it is written into the form. What had the same effect as leaving it out is left out. */
export const entriesOf = (config: unknown): Entries =>
  Object.fromEntries(
    settingsOf(config)
      .filter(([, value]) => value != null && !(Array.isArray(value) && value.length === 0))
      .map(([path, value]) => [path, showSetting(value)]),
  );
