import type { Command } from 'commander';
import { classNames, datasetReference, jsonObject, shape, withExample, wholeNumber } from '../arguments.js';
import type { ApiClient } from '../client.js';
import { findDataset, type ImageShape } from '../operations/datasets.js';
import { defineModel, findModel, listModels, type Model, type ModelSummary } from '../operations/models.js';
import { withApi } from '../session.js';
import { byteSize, facts, four, grouped, moment, shapeText, table } from '../tables.js';
import { UsageError } from '../usage-error.js';

export function addModel(program: Command): void {
  const model = program.command('model').description('define, list and show models');
  withExample(model, 'npx residual model show mine');
  const define = model
    .command('define')
    .description('define a network')
    .argument('<name>')
    .option('--preset <preset>', 'RESNET20, RESNET50, NOTEBOOK …; the API names them all', upperCase)
    .option('--architecture <json>', 'any field of ArchitectureInput, over the preset', jsonObject)
    .option('--dataset <name[@version]>', 'takes its image shape and classes')
    .option('--shape <HxWxC>', 'image shape: 28x28x1', shape)
    .option('--classes <names>', 'by label: a,b,c or a JSON array', classNames)
    .option('--description <text>')
    .action(defineFrom);
  withExample(
    define,
    'npx residual model define mine --preset RESNET20 --dataset fashion-mnist',
    `npx residual model define wide --preset RESNET20 --architecture '{"widthMultiplier": 2}' \\`,
    '      --shape 32x32x3 --classes cat,dog',
  );
  const list = model
    .command('list')
    .description('the newest first')
    .option('--search <text>', 'a part of the name or the description')
    .option('--limit <count>', 'at most 100', wholeNumber, 20)
    .action((options: { limit: number; search?: string }, command: Command) =>
      withApi(command, async ({ api, result }) => {
        const models = await listModels(api, options.limit, options.search);
        result(models, describeList(models));
      }),
    );
  withExample(list, 'npx residual model list');
  const show = model
    .command('show')
    .description('layers, parameters, FLOPs and versions')
    .argument('<name>')
    .action((name: string, _options: unknown, command: Command) =>
      withApi(command, async ({ api, result }) => {
        const found = await findModel(api, name);
        if (found === null) throw new Error(`there is no model ${name}`);
        result(found, describeModel(found));
      }),
    );
  withExample(show, 'npx residual model show mine');
}

const upperCase = (text: string) => text.toUpperCase();

interface DefineOptions {
  readonly preset?: string;
  readonly architecture?: Record<string, unknown>;
  readonly dataset?: string;
  readonly shape?: ImageShape;
  readonly classes?: string[];
  readonly description?: string;
}

async function defineFrom(name: string, options: DefineOptions, command: Command): Promise<void> {
  await withApi(command, async ({ api, result }) => {
    const { preset, architecture, description } = options;
    const model = await defineModel(api, { name, preset, architecture, description, ...(await subject(api, options)) });
    result(model, describeModel(model));
  });
}

/** What images the network is for, and what it tells them apart by. */
async function subject(api: ApiClient, { dataset, ...given }: DefineOptions) {
  const known = dataset === undefined ? undefined : await readyDataset(api, dataset);
  const inputShape = given.shape ?? known?.imageShape;
  const names = given.classes ?? known?.classNames;
  if (!inputShape || names === undefined) throw new UsageError('give --dataset, or both --shape and --classes');
  return { inputShape, classNames: names };
}

async function readyDataset(api: ApiClient, reference: string) {
  const { name, version } = datasetReference(reference);
  const found = await findDataset(api, name, version);
  if (found === null) throw new Error(`there is no data set ${reference}`);
  if (found.status !== 'READY') throw new Error(`the data set ${found.name}@${found.version} is ${found.status}`);
  return found;
}

function describeList(models: readonly ModelSummary[]): string {
  const head = ['model', 'preset', 'depth', 'parameters', 'shape', 'classes', 'version', 'aliases', 'accuracy'];
  const rows = models.map(({ name, architecture, inputShape, classNames: names, versions }) => {
    const [latest] = versions.nodes;
    return [
      name, architecture.preset ?? '', architecture.depth, grouped(architecture.parameters), shapeText(inputShape),
      names.length, latest?.version ?? '', latest?.aliases.join(' ') ?? '', four(latest?.evaluation?.accuracy),
    ]; // prettier-ignore
  });
  return table(head, rows);
}

function describeModel({ name, description, architecture, inputShape, classNames: names, versions }: Model): string {
  const layers = architecture.layers.map(({ name: layer, kind, outputShape, parameters, flops }) =>
    [layer, kind, outputShape.join('x'), grouped(parameters), grouped(flops)]);
  const rows = versions.nodes.map(({ version, createdAt, aliases, evaluation }) =>
    [version, moment(createdAt), aliases.join(' '), four(evaluation?.accuracy), four(evaluation?.loss)]);
  return [
    facts([
      ['model', name],
      ...(description === null ? [] : [['description', description] as const]),
      ['preset', architecture.preset ?? 'none'],
      ['images', shapeText(inputShape)],
      ['classes', names.length],
      ['depth', architecture.depth],
      ['parameters', grouped(architecture.parameters)],
      ['FLOPs', `${grouped(architecture.flops)}, one image`],
      ['activations', `${byteSize(architecture.activationBytes)}, one image`],
    ]),
    table(['layer', 'kind', 'output CxHxW', 'parameters', 'FLOPs'], layers),
    rows.length === 0 ? 'No version yet: residual train makes one.' : table(VERSION_HEAD, rows),
  ].join('\n\n');
}

const VERSION_HEAD = ['version', 'created', 'aliases', 'accuracy', 'loss'];
