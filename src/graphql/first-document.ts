import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { findUpwards } from './find-upwards.js';

/** What Apollo Sandbox opens with: the operations of `examples/`, in the order of their names. */
export function firstDocument(): string {
  const folder = findUpwards('examples')!;
  const operations = readdirSync(folder).toSorted().map((file) => readFileSync(path.join(folder, file), 'utf8'));
  return [HEADING, ...operations].join('\n');
}

const HEADING = `# Write your key into the header below: authorization: Bearer KEY
# These operations run as they stand once "npm run demo" has made its model.
`;
