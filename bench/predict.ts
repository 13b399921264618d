import { parseArgs } from 'node:util';
import { markdownTable, rounded, tell } from './figures.js';
import { checkAnswers, load, type Load, type LoadFigures } from './load.js';
import { benchModel } from './models.js';
import { pictures } from './pictures.js';
import { cpuMs } from './proc.js';
import { startServing } from './serving.js';
import { availableThreads } from './threads.js';

/** Different requests that are sent in turn. */
const REQUESTS = 16;
const WARM_UP_SECONDS = 2;

/**
 * `npm run bench -- predict MODEL CONCURRENCY [--images 1] [--seconds 10] [--threads 2]`: the API, a process of its own
 * as under `npm start`, asked over HTTP by a client in a second one (autocannon): PNGs of 32x32 for the small networks,
 * JPEGs of 640x480 for the large ones, `--images` of them in each request, CONCURRENCY requests at a time. The CPU that
 * a request takes, of all the API's threads, is what other work on the machine changes least.
 */
export async function benchPredict(args: string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      images: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '10' },
      threads: { type: 'string' },
    },
  });
  const [model, given = '1'] = positionals;
  const { definition } = benchModel(model);
  const [concurrency, imagesPerRequest] = [wholeNumber('CONCURRENCY', given), wholeNumber('--images', values.images)];
  const seconds = wholeNumber('--seconds', values.seconds);
  const threads = availableThreads(values.threads);
  const serving = await startServing();
  try {
    const { url, pid } = await serving.startApi({ SERVING_THREADS: threads });
    const requests = await imagesOfRequests(formatFor(definition.inputShape), imagesPerRequest);
    const predictions = serving.predictions(url, await serving.publish(model!), requests);
    await warmUp({ ...predictions, connections: concurrency });
    const cpuMsBefore = await cpuMs(pid);
    const figures = await load({ ...predictions, connections: concurrency, seconds });
    const cpuMsPerRequest = rounded(((await cpuMs(pid)) - cpuMsBefore) / figures.requests, 3);
    report({ model: model!, concurrency, imagesPerRequest, threads }, { ...figures, cpuMsPerRequest });
  } finally {
    await serving.stop();
  }
}

/** @throws Error naming the argument */
export function wholeNumber(name: string, given: string): number {
  const number = Number(given);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${name} is a positive whole number, not ${given}`);
  return number;
}

export const formatFor = ({ height }: { height: number }) => (height > 32 ? 'jpeg' : 'png');

/** Of each request its images, no two alike. */
export async function imagesOfRequests(format: 'png' | 'jpeg', imagesPerRequest: number): Promise<string[][]> {
  const requests = imagesPerRequest > 1 ? 1 : REQUESTS;
  const images = await pictures(requests * imagesPerRequest, format);
  return Array.from({ length: requests }, (_, index) =>
    images.slice(index * imagesPerRequest, (index + 1) * imagesPerRequest),
  );
}

/** Sees that the answers are right, and lets code be compiled and models be loaded before time counts. */
export async function warmUp(predictions: Omit<Load, 'seconds' | 'amount'>): Promise<void> {
  await checkAnswers(predictions);
  await load({ ...predictions, seconds: WARM_UP_SECONDS });
}

function report(
  settings: Readonly<Record<'concurrency' | 'imagesPerRequest' | 'threads', number>> & { readonly model: string },
  figures: LoadFigures & { readonly cpuMsPerRequest: number },
): void {
  const imagesPerSecond = rounded(figures.requestsPerSecond * settings.imagesPerRequest, 1);
  const row = { ...settings, ...figures, imagesPerSecond };
  console.log(markdownTable([row]));
  console.log(JSON.stringify(row));
  if (figures.failures > 0) {
    tell(`${figures.failures} requests failed`);
    process.exitCode = 1;
  }
}
