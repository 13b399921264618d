import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { readConfig } from '../../src/config.js';
import { corruptObject } from '../helpers/corrupt-object.js';
import { image } from '../helpers/dataset-files.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { RESIDUAL, residual, startResidual, type Ended } from '../helpers/residual-command.js';
import { CLASS_NAMES, drawImages, encodeIdx, SIDE } from '../helpers/shapes-data.js';
import { glanceAtRun, readRun, until } from '../helpers/training.js';

/** `npx residual` as a user has it: a process of its own, against the real platform, from an empty folder. */

let platform: TestPlatform;
let folder: string;
const inFolder = (name: string) => path.join(folder, name);
const optionsOf = () => ({ cwd: folder, env: { XDG_CONFIG_HOME: inFolder('config') } });
const run = (...args: string[]) => residual(args, optionsOf());
const start = (...args: string[]) => startResidual(args, optionsOf());

/** What the command printed for programs, once it has ended well. */
async function json(...args: string[]) {
  const { code, stdout, stderr } = await run(...args, '--json');
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

/** One line on standard error and nothing on standard output. */
function expectRefusal({ code, stdout, stderr }: Ended, exitCode: number, line: RegExp): void {
  expect({ code, stdout, lines: stderr.trimEnd().split('\n').length }, stderr).toEqual({ code: exitCode, stdout: '', lines: 1 });
  expect(stderr).toMatch(line);
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'residual-command-'));
  platform = await startPlatform({ workers: ['train', 'datasets'] });
  await mkdir(inFolder('shapes'));
  for (const [split, images] of [['train', drawImages(203, 1)], ['t10k', drawImages(50, 2)]] as const) {
    const files = encodeIdx(images);
    await writeFile(inFolder(`shapes/${split}-images-idx3-ubyte`), files.images);
    await writeFile(inFolder(`shapes/${split}-labels-idx1-ubyte`), files.labels);
  }
});
afterAll(async () => {
  await platform.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('login', { sequential: true }, () => {
  test('is what a command without a key asks for', async () => {
    expectRefusal(await run('runs'), 2, /^residual: there is no key for http:\/\/127\.0\.0\.1:4000\/graphql: residual login /);
  });

  test('refuses a key that the API refuses, and stores nothing', async () => {
    expectRefusal(await run('login', '--url', platform.url, '--key', 'wrong'), 1, /^residual: this API key is unknown/);
    await expect(stat(inFolder('config'))).rejects.toThrow('ENOENT');
  });

  test('says that a server cannot be reached, exit 3', async () => {
    expectRefusal(await run('login', '--url', 'http://127.0.0.1:2', '--key', 'any'), 3, /127\.0\.0\.1:2\/graphql cannot be reached: .*ECONNREFUSED/);
    const elsewhere = new URL('/healthz', platform.url).href;
    expectRefusal(await run('login', '--url', elsewhere, '--key', 'any'), 3, /status 404, and no answer of GraphQL/);
  });

  test('reads the key from standard input and keeps it for its owner alone', async () => {
    const { code, stdout } = await residual(['login', '--url', new URL('/', platform.url).href], {
      ...optionsOf(),
      input: `${platform.adminKey}\n`,
    });
    expect(code).toBe(0);
    expect(stdout).not.toContain(platform.adminKey);
    const file = inFolder('config/residual/credentials.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ url: platform.url, key: platform.adminKey });
    expect(await json('runs')).toEqual([]);
  });

  test('sends the stored key to no other server', async () => {
    expectRefusal(await run('runs', '--url', 'http://127.0.0.1:2'), 2, /there is no key for http:\/\/127\.0\.0\.1:2/);
  });

  test('is not needed where the environment has address and key', async () => {
    const env = { RESIDUAL_URL: platform.url, RESIDUAL_KEY: await platform.createKey('VIEWER') };
    expect((await residual(['runs', '--json'], { env })).stdout).toBe('[]\n');
    const refused = await residual(['cancel', randomUUID()], { env });
    expectRefusal(refused, 1, /TRAINER/);
  });
});

describe('dataset and model', { sequential: true }, () => {
  test('add uploads a folder of MNIST files and waits until it is READY', async () => {
    const dataset = await json('dataset', 'add', 'shapes', 'shapes', '--classes', CLASS_NAMES.join());
    expect(dataset).toMatchObject({ name: 'shapes', version: 1, status: 'READY', format: 'IDX', trainSize: 203, testSize: 50 });
    expect(dataset.classNames).toEqual(CLASS_NAMES);
    expect((await run('dataset', 'list')).stdout).toMatch(/shapes@1 .* READY .* 8x8x1 .* 203 /);
  });

  test('add packs a folder of images, and lists what is wrong with one', async () => {
    for (const split of ['train', 'test'])
      for (const colour of ['red', 'blue']) {
        await mkdir(inFolder(`images/${split}/${colour}`), { recursive: true });
        await writeFile(inFolder(`images/${split}/${colour}/1.png`), await image(colour));
      }
    const dataset = await json('dataset', 'add', 'colours', 'images');
    expect(dataset).toMatchObject({ status: 'READY', format: 'IMAGE_FOLDER', classNames: ['blue', 'red'], trainSize: 2 });
    await writeFile(inFolder('images/train/red/2.png'), 'no image');
    const { code, stdout, stderr } = await run('dataset', 'add', 'colours', 'images');
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'residual: the data set colours@2 is not valid\n' });
    expect(stdout).toMatch(/^images\.tar: train\/red\/2\.png: not a PNG[^\n]*\n$/);
  });

  test('add leaves nothing of what is not whole, and knows what no data set is', async () => {
    await mkdir(inFolder('part'));
    await writeFile(inFolder('part/train-images-idx3-ubyte'), '');
    expectRefusal(await run('dataset', 'add', 'part', 'part'), 1, /not uploaded: train-labels-idx1-ubyte or /);
    expect((await json('dataset', 'list')).map(({ name }: { name: string }) => name)).not.toContain('part');
    expectRefusal(await run('dataset', 'add', 'part', 'config'), 2, /config is no data set: it would be a folder of /);
    expectRefusal(await run('dataset', 'add', 'part', 'nowhere'), 2, /nowhere does not exist/);
  });

  test('define takes shape and classes from a data set, and the network field by field', async () => {
    const architecture = {
      block: 'BASIC', stem: { kind: 'CONV3X3', width: 8 },
      stages: [{ blocks: 1, width: 8, stride: 1 }, { blocks: 1, width: 16, stride: 2 }],
    }; // prettier-ignore
    const model = await json('model', 'define', 'tiny', '--dataset', 'shapes', '--architecture', JSON.stringify(architecture));
    expect(model).toMatchObject({ name: 'tiny', classNames: CLASS_NAMES, inputShape: { height: SIDE, width: SIDE, channels: 1 } });
    const preset = await json('model', 'define', 'preset', '--preset', 'resnet20', '--shape', '32x32x3', '--classes', 'a,b');
    expect(preset.architecture).toMatchObject({ preset: 'RESNET20', depth: 20 });
  });

  test('show prints layers, parameters and FLOPs', async () => {
    const { architecture } = await json('model', 'show', 'tiny');
    const { stdout } = await run('model', 'show', 'tiny');
    expect(stdout).toContain(`parameters   ${architecture.parameters.toLocaleString('en')}\n`);
    expect(stdout).toContain(`FLOPs        ${architecture.flops.toLocaleString('en')}, one image\n`);
    for (const { name } of architecture.layers) expect(stdout).toContain(`│ ${name} `);
    expect((await run('model', 'list')).stdout).toMatch(/tiny .*\n?.*8x8x1/);
  });
});

describe('train', { sequential: true }, () => {
  test('follows the run to its end in lines, answers with it, and draws its curves', async () => {
    await writeFile(inFolder('input.json'), JSON.stringify({ epochs: 99, emaDecay: 0.9, optimizer: { kind: 'SGD', nesterov: false } }));
    const { code, stdout, stderr } = await run(
      'train', 'tiny', 'shapes', '--input', 'input.json', '--epochs', '3', '--batch-size', '16', '--learning-rate', '0.05',
      '--precision', 'float32', '--tag', 'one', '--tag', 'two', '--plot', 'curves.png', '--json',
    ); // prettier-ignore
    expect(code, stderr).toBe(0);
    const told = JSON.parse(stdout);
    expect(told).toMatchObject({ status: 'SUCCEEDED', tags: ['one', 'two'], version: { version: 1 } });
    expect(told.config).toMatchObject({ epochs: 3, emaDecay: 0.9, optimizer: { nesterov: false, learningRate: 0.05 } });
    expect(told.evaluation.accuracy).toBeGreaterThan(0.5);
    expect(stderr).toMatch(/^Run 1 of tiny started: /);
    expect(stderr).toMatch(/^ +100% \| epoch 3\/3 \| loss \d\.\d{3} \| accuracy \d\.\d{3} \| \d+ images\/s/m);
    expect(stderr).not.toContain('\x1b');
  });

  test('labels its plots, whatever fonts the machine has', async () => {
    const { width, height } = await sharp(inFolder('curves.png')).metadata();
    expect({ width, height }).toEqual({ width: 1_920, height: 776 });
    const darkIn = async (left: number, top: number, right: number, bottom: number) => {
      const place = { left, top, width: right - left, height: bottom - top };
      const pixels = await sharp(inFolder('curves.png')).extract(place).greyscale().raw().toBuffer();
      return pixels.filter((value) => value < 128).length;
    };
    // The heading, the name of the left axis, its numbers, the name of the horizontal one.
    expect(await darkIn(700, 16, 1_220, 64)).toBeGreaterThan(200);
    expect(await darkIn(8, 300, 44, 600)).toBeGreaterThan(200);
    expect(await darkIn(44, 150, 120, 700)).toBeGreaterThan(200);
    expect(await darkIn(400, 720, 560, 776)).toBeGreaterThan(100);
  });

  test('prints a table of the classes to people', async () => {
    const [{ id }] = await json('runs', '--status', 'succeeded');
    const { code, stdout } = await run('watch', id);
    expect(code).toBe(0);
    expect(stdout).toContain('is version 1 of tiny.');
    for (const name of CLASS_NAMES) expect(stdout).toContain(`│ ${name} `);
  });

  test('leaves the run going on Ctrl-C, exit 130, and says how to come back and how to end it', async () => {
    const following = start('train', 'tiny', 'shapes', '--epochs', '9999', '--batch-size', '16');
    await until(async () => / images\/s/.test(following.stderr()), 30_000);
    following.signal('SIGINT');
    const { code, stdout, stderr } = await following.ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    const [, id = ''] = /^residual: the run goes on; "npx residual watch (\S+)" comes back/m.exec(stderr) ?? [];
    const { step } = await readRun(platform, id);
    await until(async () => (await glanceAtRun(platform, id)).step > step, 30_000);
    const watching = start('watch', id);
    await until(async () => / images\/s/.test(watching.stderr()), 30_000);
    expect((await json('cancel', id)).id).toBe(id);
    const ended = await watching.ended;
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(`residual: the run ${id} is CANCELLED\n`);
  });

  test('shows a bar on a terminal, and a line where there is none', async () => {
    const [{ number }] = await json('runs', '--status', 'succeeded');
    const terminal = await promisify(execFile)(
      'script',
      ['--quiet', '--return', '--command', `"${process.execPath}" "${RESIDUAL}" watch ${number} >watched.txt`, '/dev/null'],
      { cwd: folder, env: { PATH: process.env['PATH'], HOME: folder, SHELL: '/bin/sh', TERM: 'xterm', ...optionsOf().env } },
    );
    expect(terminal.stdout).toMatch(/\x1b.* {2}={24} 100% \| epoch 3\/3 \| loss \d/s);
    expect(await readFile(inFolder('watched.txt'), 'utf8')).toContain('is version 1 of tiny.');
    const { stderr } = await run('watch', String(number));
    expect(stderr).toMatch(/^ +100% \| epoch 3\/3 \| loss \d/m);
  });

  test('a run is named by its number, or by the beginning of its id where no other id begins so', async () => {
    const runs: { id: string; number: number }[] = await json('runs');
    const { id, number } = runs.at(-1)!;
    expect((await json('watch', String(number))).id).toBe(id);
    const begins = (length: number) => runs.filter((run) => run.id.startsWith(id.slice(0, length))).length;
    const length = Array.from(id, (_, place) => place).find((place) => place >= 4 && begins(place) === 1);
    expect((await json('watch', id.slice(0, length))).id).toBe(id);
    const beginning = id.slice(0, 4);
    expectRefusal(await run('cancel', beginning), 1, new RegExp(`the ids of ${runs.length} runs begin with ${beginning}: give more of it`));
    expectRefusal(await run('cancel', id.slice(0, 3)), 1, /there is no run/);
  });

  test('ends at once with --detach', async () => {
    const { id, status } = await json('train', 'tiny', 'shapes', '--epochs', '1', '--batch-size', '16', '--detach');
    expect(['QUEUED', 'RUNNING', 'SUCCEEDED']).toContain(status);
    expect((await json('runs', '--model', 'tiny', '--limit', '1'))[0].id).toBe(id);
    expect((await run('watch', id)).code).toBe(0);
  });
});

describe('predict, promote and export', { sequential: true }, () => {
  test('predict tells the likeliest classes of each file, and draws where they were seen', async () => {
    const { pixels } = drawImages(2, 3);
    for (const index of [0, 1]) {
      const raw = { width: SIDE, height: SIDE, channels: 1 } as const;
      await sharp(pixels.subarray(index * SIDE ** 2, (index + 1) * SIDE ** 2), { raw }).png().toFile(inFolder(`${index}.png`));
    }
    const told = await json('predict', 'tiny:1', '0.png', '1.png', '--explain', 'heat.png', '--top', '2');
    expect(told).toMatchObject([{ file: '0.png', version: 1, explanation: 'heat-1.png' }, { file: '1.png', explanation: 'heat-2.png' }]);
    for (const { top, explanation } of told) {
      expect(top).toHaveLength(2);
      expect(await sharp(inFolder(explanation)).metadata()).toMatchObject({ format: 'png', width: SIDE, height: SIDE });
    }
    const { stdout } = await run('predict', 'tiny:1', '0.png', '--explain', 'one.png');
    for (const name of CLASS_NAMES) expect(stdout).toContain(`│ ${name} `);
    expect((await sharp(inFolder('one.png')).metadata()).format).toBe('png');
  });

  test('promote lets an alias mean a version', async () => {
    expect(await json('promote', 'tiny', '1', 'production')).toMatchObject({ name: 'production', version: { version: 1 } });
    expect((await json('predict', 'tiny', '0.png'))[0].version).toBe(1);
    expectRefusal(await run('promote', 'tiny', '9', 'production'), 1, /^residual: version: model tiny has no version 9$/m);
  });

  test.each([
    ['onnx', 'tiny-1.onnx'],
    ['safetensors', 'tiny-1.safetensors'],
    ['tfjs', 'tiny-1.tfjs.zip'],
  ])('export writes %s of what the bare name means, which has the SHA-256 that the API tells', async (format, file) => {
    const told = await json('export', 'tiny', '--format', format);
    const bytes = await readFile(inFolder(file));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(told).toMatchObject({ model: 'tiny', version: 1, file, sha256, bytes: bytes.length });
  });

  test('export writes nothing of a file that is not what was published', async () => {
    const { sha256 } = await json('export', 'tiny@production', '--format', 'safetensors', '-o', 'sound.safetensors');
    await corruptObject(readConfig(platform.env).objects, sha256);
    expectRefusal(await run('export', 'tiny:1', '--format', 'safetensors', '-o', 'unsound'), 1, /has the SHA-256 .*; nothing was written/);
    await expect(stat(inFolder('unsound'))).rejects.toThrow('ENOENT');
    await expect(stat(inFolder('unsound.part'))).rejects.toThrow('ENOENT');
  });
});

describe('what goes wrong', () => {
  test.concurrent.each([
    [1, 'the API refuses a field', ['train', 'tiny', 'shapes', '--epochs', '0'], /^residual: input\.epochs: must be a whole number/],
    [1, 'there is no such run', ['watch', 'none'], /^residual: there is no run none$/m],
    [1, 'there is no such model', ['model', 'show', 'none'], /^residual: there is no model none$/m],
    [1, 'the API knows no such preset', ['model', 'define', 'x', '--preset', 'none', '--dataset', 'shapes'], /^residual: input\.preset: /],
    [1, 'a name is taken', ['model', 'define', 'tiny', '--preset', 'resnet20', '--dataset', 'shapes'], /^residual: input\.name: there is a model named tiny/],
    [1, 'the version has no such file', ['export', 'tiny:1', '--format', 'onnx-int8'], /not as ONNX_INT8/],
    [1, 'the file is no image', ['predict', 'tiny', 'input.json'], /^residual: input\.images\.0: not a PNG/],
    [2, 'an option is not known', ['runs', '--nothing'], /^residual: unknown option '--nothing'/],
    [2, 'a command is not known', ['trian'], /^residual: unknown command 'trian' \(Did you mean train\?\)/],
    [2, 'an argument is missing', ['train', 'tiny'], /^residual: missing required argument 'dataset'/],
    [2, 'a number is none', ['train', 'tiny', 'shapes', '--epochs', 'few'], /It must be a whole number\./],
    [2, 'a word is not one of those', ['train', 'tiny', 'shapes', '--engine', 'gpu'], /Allowed choices are AUTO, ONEDNN, TFJS\./],
    [2, 'a file is not there', ['predict', 'tiny', 'none.png'], /none\.png/],
    [2, 'nothing says which shape', ['model', 'define', 'x'], /give --dataset, or both --shape and --classes/],
    [2, 'the plot could not be written', ['train', 'tiny', 'shapes', '--plot', 'no/plot.png'], /--plot: there is no folder no/],
    [2, 'the URL is none', ['runs', '--url', 'here'], /must be an http:\/\/ or https:\/\/ URL/],
  ])('exit %i where %s, with one line', async (code, _what, args, line) => {
    expectRefusal(await run(...args), code, line);
  });
});

describe('up', () => {
  test('starts the platform as npm start does, from any folder, and stops it on SIGTERM, a follower of a run told', async () => {
    const { S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_BUCKET, DATABASE_URL, REDIS_PREFIX } = platform.env;
    const env = {
      S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_BUCKET, DATABASE_URL, REDIS_PREFIX,
      REDIS_URL: inject('servers').redisUrl, PORT: '0', RESIDUAL_DATA_DIR: inFolder('data'),
      RESIDUAL_ADMIN_KEY: platform.adminKey,
    } as Record<string, string>; // prettier-ignore
    const up = startResidual(['up', '--json'], { cwd: folder, env });
    await until(async () => up.stdout().includes('\n'), 60_000);
    const { url, key } = JSON.parse(up.stdout());
    const { code, stdout } = await residual(['model', 'list', '--json', '--url', url, '--key', key]);
    expect({ code, models: JSON.parse(stdout).length }).toEqual({ code: 0, models: 2 });
    const args = ['train', 'tiny', 'shapes', '--epochs', '9999', '--batch-size', '16', '--url', url, '--key', key];
    const following = startResidual(args);
    await until(async () => / images\/s/.test(following.stderr()), 30_000);
    up.signal('SIGTERM');
    expect((await up.ended).code).toBe(0);
    const lost = await following.ended;
    expect(lost.code, 'the server was stopped under it').toBe(3);
    const [, id = ''] = /"npx residual watch (\S+)" comes back to it/.exec(lost.stderr) ?? [];
    expect((await json('cancel', id)).id, 'another server has the run').toBe(id);
  });
});
