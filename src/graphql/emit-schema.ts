import { writeFileSync } from 'node:fs';
import { createSchema, printSorted } from './schema.js';

/** `node dist/src/graphql/emit-schema.js [FILE]`: writes the schema to a file, or to stdout. */
const [file] = process.argv.slice(2);
const text = printSorted(createSchema());
if (file === undefined) process.stdout.write(text);
else writeFileSync(file, text);
