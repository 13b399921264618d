import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { markdownTable, rounded, tell } from './figures.js';
import { checkAnswers, load } from './load.js';
import { imagesOfRequests, wholeNumber } from './predict.js';
import { residentBytes } from './proc.js';
import { startServing } from './serving.js';
import { availableThreads } from './threads.js';

/** Of the memory at the end to that after the first predictions. */
const CEILING = 1.1;
const CONCURRENCY = 64;
/** Room for RESNET20 and one ResNet-50, as `estimateSessionBytes` counts them. */
const MODEL_CACHE_BYTES = 400 * 1024 ** 2;
/**
 * Allocators give memory back after a while: jemalloc from ten seconds after it was freed on. Measured after 40 loads:
 * 475 MB after 15 s, 429 after 40.
 */
const SETTLE_MS = 40_000;

/**
 * `npm run bench -- predict-memory [--first 1000] [--predictions 100000] [--loads 200] [--threads 2]`: the resident
 * memory of the API process after the first predictions, and after as many more with as many loads and evictions spread
 * over them. RESNET20 predicts; two versions of ResNet-50, of which the cache holds one, evict each other.
 */
export async function benchPredictMemory(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      first: { type: 'string', default: '1000' },
      predictions: { type: 'string', default: '100000' },
      loads: { type: 'string', default: '200' },
      threads: { type: 'string' },
    },
  });
  const first = wholeNumber('--first', values.first);
  const predictions = wholeNumber('--predictions', values.predictions);
  const loads = wholeNumber('--loads', values.loads);
  const threads = availableThreads(values.threads);
  const { firstBytes, lastBytes, evictions } = await measure({ first, predictions, loads, threads });
  const ratio = lastBytes / firstBytes;
  const row = {
    predictions,
    loads,
    evictions,
    threads,
    firstBytes,
    lastBytes,
    ratio: rounded(ratio, 3),
    ceiling: CEILING,
    pass: ratio <= CEILING && evictions >= loads,
  };
  console.log(markdownTable([row]));
  console.log(JSON.stringify(row));
}

interface Counts {
  readonly first: number;
  readonly predictions: number;
  readonly loads: number;
  readonly threads: number;
}

async function measure({ first, predictions, loads, threads }: Counts) {
  const serving = await startServing();
  try {
    const { url, pid } = await serving.startApi({ SERVING_THREADS: threads, MODEL_CACHE_BYTES });
    const small = serving.predictions(url, await serving.publish('resnet20'), await imagesOfRequests('png', 1));
    const [jpeg] = await imagesOfRequests('jpeg', 1);
    const large = [await serving.publish('resnet50'), await serving.publish('resnet50')].map((version) =>
      serving.predictions(url, version, [jpeg!]),
    );
    const predict = async (amount: number) => {
      const { failures } = await load({ ...small, connections: Math.min(CONCURRENCY, amount), amount });
      if (failures > 0) throw new Error(`${failures} of ${amount} predictions failed`);
    };
    await checkAnswers(small);
    await checkAnswers(large[1]!);
    await predict(first);
    const firstBytes = await settledBytes(pid);
    tell(`after ${first} predictions: ${firstBytes} bytes`);
    for (let round = 1; round <= loads; round++) {
      await checkAnswers(large[(round + 1) % 2]!);
      await predict(Math.ceil(predictions / loads));
      if (round % 20 === 0) tell(`after ${round} loads: ${await residentBytes(pid)} bytes`);
    }
    const lastBytes = await settledBytes(pid);
    return { firstBytes, lastBytes, evictions: await evictionsOf(url) };
  } finally {
    await serving.stop();
  }
}

async function settledBytes(pid: number): Promise<number> {
  await sleep(SETTLE_MS);
  return residentBytes(pid);
}

async function evictionsOf(url: string): Promise<number> {
  const metrics = await (await fetch(new URL('/metrics', url))).text();
  return Number(/^residual_\w*evictions_total (\d+)/m.exec(metrics)?.[1]);
}
