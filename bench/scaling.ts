import { parseArgs } from 'node:util';
import { markdownTable, rounded, tell, type Row } from './figures.js';
import { runBench, type TrainingFigures } from './processes.js';
import { availableThreads } from './threads.js';

const BATCHES = [16, 32, 64, 128, 256, 512, 1024];
const DEPTHS = [20, 32, 44, 56, 110];
const BATCH = 128;

/**
 * `npm run bench -- scaling [--precision float32|bfloat16]`: what training costs as the work grows. ResNet-20 on
 * 32x32x3 at batches of 16 to 1024, and 20 to 110 layers at batch 128: images per second, and the process' peak memory.
 */
export async function benchScaling(args: string[]): Promise<void> {
  const options = { threads: { type: 'string' }, precision: { type: 'string' } } as const;
  const { values } = parseArgs({ args, options });
  const threads = availableThreads(values.threads);
  const precision = values.precision ? ['--precision', values.precision] : [];
  const figures = async (model: string, batchSize: number) => {
    tell(`${model}, batch ${batchSize}`);
    return runBench<TrainingFigures>('train', model, String(batchSize), '--threads', String(threads), ...precision);
  };
  const byBatch: Row[] = [];
  for (const batchSize of BATCHES) byBatch.push(row({ batchSize }, await figures('resnet20', batchSize)));
  const byDepth: Row[] = [];
  for (const depth of DEPTHS) byDepth.push(row({ depth }, await figures(`resnet${depth}`, BATCH)));
  console.log(`${markdownTable(byBatch)}\n\n${markdownTable(byDepth)}`);
  console.log(JSON.stringify({ threads, batch: byBatch, depth: byDepth }));
}

function row(what: Row, { precision, imagesPerSecond, peakBytes }: TrainingFigures): Row {
  return { ...what, precision, imagesPerSecond, peakMegabytes: rounded(peakBytes / 1e6, 0) };
}
