'use strict';
// Loads the compiled addon; a failure says what to do about it. CommonJS, since `import` cannot load `.node` files.
const path = require('node:path');

const FILE = path.join(__dirname, 'build', 'Release', 'residual.node');

// A thread of libgomp that waits for another keeps its core busy for milliseconds. Where any other process wants that
// core, the one it waits for is not running, and a step takes up to thirty times as long; so it sleeps sooner. libgomp
// reads this once, as it is loaded with the addon, and what the user has set goes before.
if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= '1000';

/** @param {NodeJS.ErrnoException} error @returns {string} what is wrong and the command that mends it */
function remedy(error) {
  if (error.code === 'MODULE_NOT_FOUND') {
    return 'it is not built: run `apt-get install libdnnl-dev g++ make python3 && npm run native`';
  }
  if (/libdnnl/.test(error.message)) {
    return `oneDNN's shared library is missing: run \`apt-get install libdnnl-dev && npm run native\` (${error.message})`;
  }
  return `it does not fit this machine: run \`apt-get install libdnnl-dev g++ make python3 && npm run native\` (${error.message})`;
}

try {
  module.exports = require(FILE);
} catch (error) {
  throw new Error(`The training engine's addon did not load: ${remedy(error)}`, { cause: error });
}
