import { readFile, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { pngFile, wholeNumber, withExample } from '../arguments.js';
import { predict, type ImagePrediction } from '../operations/predictions.js';
import { withApi } from '../session.js';
import { four, table } from '../tables.js';
import { UsageError } from '../usage-error.js';

export function addPredict(program: Command): void {
  const command = program
    .command('predict')
    .description('tell the likeliest classes of images: PNG, JPEG or WebP')
    .argument('<model>', 'name, name:3, name:latest or name@alias; with #int8 behind it in eight bits')
    .argument('<file...>')
    .option('--top <count>', 'classes of each image', wholeNumber, 5)
    .option('--explain <file.png>', 'draw where the top class was seen; of several images file-1.png …', pngFile)
    .action(predictFiles);
  withExample(command, 'npx residual predict mine boot.png --explain heat.png');
}

interface PredictOptions {
  readonly top: number;
  readonly explain?: string;
}

/** What is told of one file. */
interface FilePrediction extends Pick<ImagePrediction, 'top'> {
  readonly file: string;
  readonly version: number;
  /** Where the heat map was written. */
  readonly explanation?: string;
}

interface Image {
  readonly file: string;
  readonly base64: string;
}

async function predictFiles(model: string, files: string[], options: PredictOptions, command: Command): Promise<void> {
  const images = await Promise.all(files.map(readImage));
  const { top: topK, explain } = options;
  await withApi(command, async ({ api, result }) => {
    const told: FilePrediction[] = [];
    for (const group of groupsOf(images)) {
      const asked = group.map(({ base64 }) => base64);
      const answer = await predict(api, model, asked, { topK, explain: explain !== undefined });
      for (const [index, prediction] of answer.predictions.entries()) {
        const { file } = group[index] as Image;
        const drawn = await drawExplanation(prediction, explain, files.length > 1 ? told.length + 1 : undefined);
        told.push({ file, version: answer.modelVersion.version, top: prediction.top, ...drawn });
      }
    }
    result(told, told.map(describe).join('\n\n'));
  });
}

async function readImage(file: string): Promise<Image> {
  const bytes = await readFile(file).catch((error: Error) => Promise.reject(new UsageError(error.message)));
  return { file, base64: bytes.toString('base64') };
}

/** What one request may hold: of images, and of characters well below a body's usual limit. */
const GROUP = { images: 64, characters: 16 * 1024 ** 2 };

function groupsOf(images: readonly Image[]): Image[][] {
  const groups: Image[][] = [];
  let characters = 0;
  for (const image of images) {
    const group = groups.at(-1);
    characters += image.base64.length;
    if (group !== undefined && group.length < GROUP.images && characters <= GROUP.characters) {
      group.push(image);
      continue;
    }
    groups.push([image]);
    characters = image.base64.length;
  }
  return groups;
}

/** @param number of the image, where there are several */
async function drawExplanation({ explanation }: ImagePrediction, to: string | undefined, number: number | undefined) {
  if (!explanation || to === undefined) return {};
  const file = number === undefined ? to : to.replace(/(\.png)$/i, `-${number}$1`);
  await writeFile(file, Buffer.from(explanation, 'base64'));
  return { explanation: file };
}

function describe({ file, version, top, explanation }: FilePrediction): string {
  const rows = top.map(({ className, probability }) => [className, four(probability)]);
  const drawn = explanation === undefined ? '' : `\nwhere it was seen: ${explanation}`;
  return `${file} (version ${version})\n${table(['class', 'probability'], rows)}${drawn}`;
}
