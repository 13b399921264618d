import type { Command } from 'commander';
import { choice, modelReference, versionNumber, withExample } from '../arguments.js';
import { findVersion, setAlias } from '../operations/models.js';
import { withApi } from '../session.js';
import { byteSize } from '../tables.js';
import { receiveFile } from '../transfer.js';
import { displayTransfer } from '../transfer-progress.js';

export function addPromote(program: Command): void {
  const command = program
    .command('promote')
    .description('let an alias mean a version, wherever it pointed before')
    .argument('<model>')
    .argument('<version>', 'its number', versionNumber)
    .argument('<alias>', 'production is what the bare name means')
    .action((model: string, version: number, alias: string, _options: unknown, of: Command) =>
      withApi(of, async ({ api, result }) => {
        const set = await setAlias(api, model, alias, version);
        result(set, `${model}@${set.name} is version ${set.version.version}.`);
      }),
    );
  withExample(command, 'npx residual promote mine 3 production');
}

/** What a file of each kind is called, behind model and version. */
const ENDINGS = { ONNX: 'onnx', ONNX_INT8: 'int8.onnx', SAFETENSORS: 'safetensors', TFJS: 'tfjs.zip' } as const;
const KINDS = Object.keys(ENDINGS);

export function addExport(program: Command): void {
  const command = program
    .command('export')
    .description("download a version's weights, and check their SHA-256")
    .argument('<model>', 'name, name:3, name:latest or name@alias; a bare name as predict takes it')
    .addOption(choice('--format <format>', 'of the file', KINDS).default('ONNX'))
    .option('-o, --output <file>', 'MODEL-VERSION.ENDING here unless given')
    .action(exportVersion);
  withExample(command, 'npx residual export mine@production --format safetensors -o mine.safetensors');
}

interface ExportOptions {
  readonly format: keyof typeof ENDINGS;
  readonly output?: string;
}

async function exportVersion(reference: string, options: ExportOptions, command: Command): Promise<void> {
  const { model, ref } = modelReference(reference);
  await withApi(command, async ({ api, result }) => {
    const found = await findVersion(api, model, ref);
    if (found === null) throw new Error(`${model} has no version ${ref ?? 'yet'}`);
    const { version, artifacts } = found;
    const artifact = artifacts.find(({ kind }) => kind === options.format);
    if (artifact === undefined)
      throw new Error(`${model}:${version} is there as ${artifacts.map(({ kind }) => kind).join(', ')}, not as ${options.format}`);
    const file = options.output ?? `${model}-${version}.${ENDINGS[options.format]}`;
    const { kind, bytes, sha256 } = artifact;
    const display = displayTransfer('download', bytes);
    await receiveFile(artifact, file, display.add).finally(display.close);
    result({ model, version, kind, file, bytes, sha256 }, `${file}: ${byteSize(bytes)} of ${model}:${version}, SHA-256 ${sha256}`);
  });
}
