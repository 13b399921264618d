import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Command, Option } from 'commander';
import { buildSchema, type GraphQLEnumType } from 'graphql';
import { afterAll, describe, expect, test } from 'vitest';
import { completionScript } from '../../src/cli/completion.js';
import { createProgram } from '../../src/cli/program.js';
import { clientSchema } from '../../src/config.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const folder = mkdtempSync(path.join(tmpdir(), 'residual-completion-'));
afterAll(() => rmSync(folder, { recursive: true }));

const program = createProgram();
const nameOf = (command: Command): string => (command.parent ? `${nameOf(command.parent)} ${command.name()}`.trim() : '');
const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
const commands = all(program).map((command) => [`residual ${nameOf(command)}`.trim(), command] as const);

describe('the help', () => {
  test.each(commands)('of %s ends with an example that calls it', (name, command) => {
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    expect(help.split('Example:\n')[1]).toContain(name);
  });
});

describe('choices', () => {
  const enums = buildSchema(read('schema.graphql')).getTypeMap();
  const valuesOf = (name: string) => (enums[name] as GraphQLEnumType).getValues().map((value) => value.name).toSorted();
  test.each([
    ['train', '--optimizer', 'OptimizerKind'],
    ['train', '--schedule', 'ScheduleKind'],
    ['train', '--precision', 'Precision'],
    ['train', '--engine', 'Engine'],
    ['runs', '--status', 'RunStatus'],
    ['export', '--format', 'ArtifactKind'],
    ['dataset add', '--format', 'DatasetFormat'],
  ])('of %s %s are those of %s', (name, flag, type) => {
    const [, command] = commands.find(([full]) => full === `residual ${name}`)!;
    const { argChoices } = command.options.find(({ long }) => long === flag) as Option;
    expect(argChoices!.toSorted()).toEqual(valuesOf(type));
  });
});

describe('completion', () => {
  /** What bash offers for the last of these words. */
  function offered(...words: string[]): string[] {
    const file = path.join(folder, 'completion.bash');
    writeFileSync(file, completionScript('bash', program));
    const script = 'source "$0"; COMP_WORDS=(residual "$@"); COMP_CWORD=$#; _residual; printf "%s\\n" "${COMPREPLY[@]}"';
    return execFileSync('bash', ['-c', script, file, ...words], { encoding: 'utf8' }).split('\n').filter(Boolean);
  }

  test('offers commands, the commands of a command, and files where there are none', () => {
    expect(offered('pr')).toEqual(['predict', 'promote']);
    expect(offered('model', '')).toEqual(['define', 'list', 'show']);
    expect(offered('--json', 'dataset', 'a')).toEqual(['add']);
    expect(offered('completion', '')).toEqual(['bash', 'zsh', 'fish']);
    expect(offered('dataset', 'add', 'name', '')).toEqual([]);
    expect(completionScript('bash', program)).toContain('complete -o default -F _residual residual');
  });

  test('offers options, and the words that an option takes', () => {
    expect(offered('train', 'mine', 'data', '--p')).toEqual(['--precision', '--priority', '--plot']);
    expect(offered('train', 'mine', 'data', '--schedule', 'c')).toEqual(['constant', 'cosine']);
    expect(offered('export', 'mine', '--format', 'onnx')).toEqual(['onnx', 'onnx-int8']);
    expect(offered('runs', '--j')).toEqual(['--json']);
  });

  test('takes bash\'s for zsh, and tells fish each command and option', () => {
    expect(completionScript('zsh', program)).toContain(completionScript('bash', program));
    const fish = completionScript('fish', program);
    expect(fish).toContain(`complete -c residual -f -n 'not __fish_seen_subcommand_from login up `);
    expect(fish).toContain(`-n '__fish_seen_subcommand_from dataset; and __fish_seen_subcommand_from add' -l format`);
    for (const [, command] of commands.slice(1)) expect(fish).toContain(` -a ${command.name()} -d `);
  });
});

describe('a clone that is not set up', () => {
  test('says what sets it up, exit 2', () => {
    cpSync(path.join(ROOT, 'scripts/residual.mjs'), path.join(folder, 'scripts/residual.mjs'));
    const call = () => execFileSync(process.execPath, [path.join(folder, 'scripts/residual.mjs'), 'runs'], { stdio: 'pipe' });
    expect(call).toThrow(expect.objectContaining({
      status: 2,
      stderr: Buffer.from('residual: this clone is not set up yet: npm start does that, and starts the platform\n'),
    }));
  });

  test('has the command under a name that npx finds', () => {
    expect(JSON.parse(read('package.json')).bin).toEqual({ residual: 'scripts/residual.mjs' });
  });
});

describe('docs/command-line.md', () => {
  test('lists each variable that the command reads, and each command', () => {
    const text = read('docs/command-line.md');
    const rows = [...text.matchAll(/^\| `([A-Z_]+)` /gm)].map(([, name]) => name!);
    expect(rows.toSorted()).toEqual(Object.keys(clientSchema.shape).toSorted());
    for (const [name, command] of commands) if (command.commands.length === 0) expect(text).toContain(`npx ${name}`);
  });
});
