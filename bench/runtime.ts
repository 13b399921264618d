import { parseArgs } from 'node:util';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { initialTensors } from '../src/domain/network/initialise.js';
import { encodeOnnx } from '../src/formats/onnx.js';
import { markdownTable, rounded } from './figures.js';
import { benchModel } from './models.js';
import { wholeNumber } from './predict.js';
import { NORMALISATION } from './serving.js';
import { availableThreads } from './threads.js';

const WARM_UP_BATCHES = 3;

export interface RuntimeFigures {
  readonly imagesPerSecond: number;
  readonly threads: number;
}

/**
 * `npm run bench -- runtime MODEL [BATCH] [--seconds 10] [--threads 2]`: the file that the API serves in onnxruntime as
 * it comes, with nothing around it: batches in memory, decoded and normalised, for the probabilities alone.
 */
export async function benchRuntime(args: string[]): Promise<void> {
  const options = { threads: { type: 'string' }, seconds: { type: 'string', default: '10' } } as const;
  const { positionals, values } = parseArgs({ args, allowPositionals: true, options });
  const [model, batch = '32'] = positionals;
  const { definition, graph } = benchModel(model);
  const batchSize = wholeNumber('BATCH', batch);
  const threads = availableThreads(values.threads);
  const classNames = Array.from({ length: graph.numClasses }, (_, label) => `class ${label}`);
  const onnx = encodeOnnx(graph, initialTensors(graph, definition, 0), { classNames, ...NORMALISATION });
  const session = await InferenceSession.create(onnx, { intraOpNumThreads: threads });
  const { height, width, channels } = definition.inputShape;
  const length = batchSize * height * width * channels;
  const noise = Float32Array.from({ length }, (_, index) => (index % 17) / 4 - 2);
  const input = new Tensor('float32', noise, [batchSize, channels, height, width]);
  for (let warm = 0; warm < WARM_UP_BATCHES; warm++) await session.run({ input }, ['probabilities']);
  const startedAt = performance.now();
  const untilMs = startedAt + 1_000 * wholeNumber('--seconds', values.seconds);
  let images = 0;
  for (; performance.now() < untilMs; images += batchSize) await session.run({ input }, ['probabilities']);
  const imagesPerSecond = rounded((1_000 * images) / (performance.now() - startedAt), 1);
  const row = { model: model!, batchSize, threads, imagesPerSecond };
  console.log(markdownTable([row]));
  console.log(JSON.stringify(row));
}
