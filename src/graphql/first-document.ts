import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** `examples/`, seen from the source and from the compiled file. */
const EXAMPLES = ['../../examples', '../../../examples']
  .map((folder) => fileURLToPath(new URL(folder, import.meta.url)))
  .find(existsSync) as string;

/** What Apollo Sandbox opens with: the operations of `examples/`, in the order of their names. */
export function firstDocument(): string {
  const operations = readdirSync(EXAMPLES).toSorted().map((file) => readFileSync(path.join(EXAMPLES, file), 'utf8'));
  return [HEADING, ...operations].join('\n');
}

const HEADING = `# Write your key into the header below: authorization: Bearer KEY
# These operations run as they stand once "npm run demo" has made its model.
`;
