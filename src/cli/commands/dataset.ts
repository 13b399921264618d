import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { choice, classNames, withExample, wholeNumber } from '../arguments.js';
import { DATASET_FORMATS, findLocalDataset, type DatasetFormat } from '../local-dataset.js';
import { InvalidDataset, listDatasets, uploadDataset, type Dataset } from '../operations/datasets.js';
import { withApi } from '../session.js';
import { grouped, moment, shapeText, table } from '../tables.js';
import { displayTransfer } from '../transfer-progress.js';

export function addDataset(program: Command): void {
  const dataset = program.command('dataset').description('upload and list data sets');
  withExample(dataset, 'npx residual dataset add digits ./mnist');
  const add = dataset
    .command('add')
    .description('upload a data set, and wait until it has been validated')
    .argument('<name>', 'an existing name gets its next version')
    .argument('<path>', 'a folder or an archive; its format is seen from its files')
    .addOption(choice('--format <format>', 'what it is, where that cannot be seen', DATASET_FORMATS))
    .option('--classes <names>', 'by label: a,b,c or a JSON array', classNames)
    .option('--description <text>')
    .action(addDatasetFrom);
  withExample(add, 'npx residual dataset add fashion-mnist /usr/share/datasets/fashion-mnist');
  const list = dataset
    .command('list')
    .description('the newest first')
    .option('--limit <count>', 'at most 100', wholeNumber, 20)
    .action((options: { limit: number }, command: Command) =>
      withApi(command, async ({ api, result }) => {
        const datasets = await listDatasets(api, options.limit);
        result(datasets, describe(datasets));
      }),
    );
  withExample(list, 'npx residual dataset list --json');
}

interface AddOptions {
  readonly format?: DatasetFormat;
  readonly classes?: string[];
  readonly description?: string;
}

async function addDatasetFrom(name: string, place: string, options: AddOptions, command: Command): Promise<void> {
  await withApi(command, async ({ api, result }) => {
    const found = await findLocalDataset(place, options.format);
    try {
      const display = displayTransfer('upload', await bytesOf(found.files.values()));
      const input = { name, classNames: options.classes ?? found.classNames, description: options.description };
      const dataset = await uploadDataset(api, input, found, display.add).finally(display.close);
      result(dataset, describe([dataset]));
    } catch (error) {
      if (!(error instanceof InvalidDataset)) throw error;
      const { dataset } = error;
      result(dataset, dataset.problems.join('\n'));
      throw new Error(`the data set ${dataset.name}@${dataset.version} is not valid`);
    } finally {
      await found.release();
    }
  });
}

async function bytesOf(files: Iterable<string>): Promise<number> {
  const found = await Promise.all([...files].map((file) => stat(file)));
  return found.reduce((sum, { size }) => sum + size, 0);
}

function describe(datasets: readonly Dataset[]): string {
  const head = ['data set', 'status', 'format', 'shape', 'classes', 'train', 'test', 'created'];
  const rows = datasets.map(({ name, version, status, format, imageShape, classNames: names, ...of }) => [
    `${name}@${version}`, status, format, imageShape ? shapeText(imageShape) : '', names.length, grouped(of.trainSize),
    grouped(of.testSize), moment(of.createdAt),
  ]); // prettier-ignore
  return table(head, rows);
}
