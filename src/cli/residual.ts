import { reportFailure } from './exit-codes.js';
import { createProgram } from './program.js';

/** `npx residual`. */

// Whoever reads the output may have read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
process.exitCode = await createProgram().parseAsync().then(() => 0, reportFailure);
