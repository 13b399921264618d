import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { connectApi, type ApiClient } from '../src/cli/client.js';
import { findDatasetFolder } from '../src/cli/dataset-folder.js';
import { uploadDataset } from '../src/cli/operations/datasets.js';
import { readRun, watchRun } from '../src/cli/operations/runs.js';
import { displayProgress } from '../src/cli/training-progress.js';
import { readStartConfig } from '../src/config.js';
import { startPlatform } from '../src/local/platform.js';
import { markdownTable, mean, rounded, tell } from './figures.js';

const GUIDE = path.resolve(import.meta.dirname, '../../docs/recipes.md');

/**
 * `npm run bench -- recipe NAME [--seeds 0,1,2]`: the operations that docs/recipes.md has under `## NAME`, sent to a
 * platform of its own with Fashion-MNIST (Debian's package dataset-fashion-mnist), once for each seed.
 */
export async function benchRecipe(args: string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: { seeds: { type: 'string', default: '0,1,2' } },
  });
  const operations = recipeIn(await readFile(GUIDE, 'utf8'), positionals[0]);
  const dataDir = await mkdtemp(path.join(tmpdir(), 'residual-bench-'));
  const config = readStartConfig({ ...process.env, RESIDUAL_DATA_DIR: dataDir, PORT: '0' });
  const platform = await startPlatform(config, tell);
  try {
    const api = connectApi(platform.url, platform.key);
    const fashion = await findDatasetFolder();
    await uploadDataset(api, fashion, fashion);
    const runs = [];
    for (const seed of values.seeds.split(',').map(Number))
      runs.push({ seed, ...(await follow(api, operations, seed)) });
    report(positionals[0]!, runs);
    await api.close();
  } finally {
    await platform.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

interface Recipe {
  readonly defineModel: string;
  readonly startTraining: string;
}

/** @throws Error naming the recipes there are. */
export function recipeIn(guide: string, name: string | undefined): Recipe {
  const sections = new Map(guide.split(/^## /m).slice(1).map((text) => [/^\S+/.exec(text)![0], text]));
  const blocks = [...(sections.get(name ?? '') ?? '').matchAll(/```graphql\n([^]*?)```/g)].map(([, block]) => block!);
  const find = (mutation: string) => blocks.find((block) => block.includes(`${mutation}(`));
  const [defineModel, startTraining] = [find('defineModel'), find('startTraining')];
  if (defineModel && startTraining) return { defineModel, startTraining };
  const names = [...sections].filter(([, text]) => text.includes('startTraining(')).map(([known]) => known);
  throw new Error(`NAME is one of ${names.join(', ')}, not ${name}`);
}

async function follow(api: ApiClient, { defineModel, startTraining }: Recipe, seed: number) {
  // The second seed's model is there already.
  await api.request(defineModel).catch((error: Error & { code?: string }) => {
    if (error.code !== 'CONFLICT') throw error;
  });
  const { startTraining: run } = await api.request<{ startTraining: { id: string; config: { epochs: number } } }>(
    startTraining,
    { seed },
  );
  const display = displayProgress(run.config.epochs, process.stdout);
  for await (const progress of watchRun(api, run.id)) display.show(progress);
  display.close();
  const { evaluation, failure, startedAt, finishedAt, history, precision } = await readRun(api, run.id);
  if (!evaluation) throw new Error(`seed ${seed}: ${failure}`);
  return {
    precision,
    epochs: history.length,
    accuracy: rounded(100 * evaluation.accuracy),
    minutes: rounded((Date.parse(finishedAt ?? '') - Date.parse(startedAt ?? '')) / 60_000),
  };
}

function report(recipe: string, runs: readonly { seed: number; accuracy: number; minutes: number }[]): void {
  console.log(markdownTable(runs));
  const accuracies = runs.map(({ accuracy }) => accuracy);
  const most = Math.max(...runs.map(({ minutes }) => minutes));
  console.log(JSON.stringify({ recipe, meanAccuracy: rounded(mean(accuracies)), mostMinutes: most, runs }));
}
