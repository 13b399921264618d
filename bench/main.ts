import { benchLoop } from './loop.js';
import { benchPrecision } from './precision.js';
import { benchRecipe } from './recipe.js';
import { benchRoofline } from './roofline.js';
import { benchScaling } from './scaling.js';
import { benchTrain } from './train.js';
import { benchTrainPeers } from './train-peers.js';

/** `npm run bench -- NAME …`: each bench prints a table and, as its last line, one JSON object. */
const BENCHES: Record<string, (args: string[]) => Promise<void>> = {
  train: benchTrain,
  loop: benchLoop,
  'train-peers': benchTrainPeers,
  precision: benchPrecision,
  recipe: benchRecipe,
  roofline: benchRoofline,
  scaling: benchScaling,
};

const [name, ...args] = process.argv.slice(2);
const bench = BENCHES[name ?? ''];
if (!bench) {
  console.error(`usage: npm run bench -- ${Object.keys(BENCHES).join('|')} …`);
  process.exitCode = 1;
} else {
  await bench(args).catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
