import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * What lies beside `src` and beside `dist` alike: the entry in the nearest folder upwards that has it.
 * @returns nothing where none has
 */
export function findUpwards(entry: string): string | undefined {
  for (let folder = import.meta.dirname; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const found = path.join(folder, entry);
    if (existsSync(found)) return found;
  }
  return undefined;
}
