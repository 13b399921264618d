#!/usr/bin/env node
/** `npx residual`: the built command, or what builds it. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const program = new URL('../dist/src/cli/residual.js', import.meta.url);
if (existsSync(fileURLToPath(program))) await import(program.href);
else {
  process.stderr.write('residual: this clone is not set up yet: npm start does that, and starts the platform\n');
  process.exitCode = 2;
}
