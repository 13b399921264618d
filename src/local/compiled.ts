import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { unavailable } from '../errors.js';

/** `dist/`, seen from the compiled file and, in tests, from the source. */
const DIST = new URL(import.meta.url.endsWith('.ts') ? '../../dist/' : '../../', import.meta.url);

/**
 * The compiled program of that path in `dist/`: `src/main.js`.
 * @throws ResidualError SERVICE_UNAVAILABLE when it is not built
 */
export function compiledProgram(file: string): string {
  const program = fileURLToPath(new URL(file, DIST));
  if (!existsSync(program)) throw unavailable(`${program} is missing: npm run build makes it`);
  return program;
}
