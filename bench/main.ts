/**
 * `npm run bench -- NAME …`: each bench prints a table and, as its last line, one JSON object. Each is loaded alone,
 * since what the others import would count as its memory.
 */
const BENCHES: Record<string, () => Promise<(args: string[]) => Promise<void>>> = {
  train: async () => (await import('./train.js')).benchTrain,
  loop: async () => (await import('./loop.js')).benchLoop,
  'train-peers': async () => (await import('./train-peers.js')).benchTrainPeers,
  predict: async () => (await import('./predict.js')).benchPredict,
  'predict-peers': async () => (await import('./predict-peers.js')).benchPredictPeers,
  'predict-memory': async () => (await import('./predict-memory.js')).benchPredictMemory,
  runtime: async () => (await import('./runtime.js')).benchRuntime,
  int8: async () => (await import('./int8.js')).benchInt8,
  precision: async () => (await import('./precision.js')).benchPrecision,
  recipe: async () => (await import('./recipe.js')).benchRecipe,
  roofline: async () => (await import('./roofline.js')).benchRoofline,
  scaling: async () => (await import('./scaling.js')).benchScaling,
};

const [name, ...args] = process.argv.slice(2);
const load = BENCHES[name ?? ''];
if (!load) {
  console.error(`usage: npm run bench -- ${Object.keys(BENCHES).join('|')} …`);
  process.exitCode = 1;
} else {
  try {
    await (await load())(args);
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
