/**
 * Makes a fresh clone ready, with nothing but Node: system packages, npm packages, generated code, the addon, the
 * TypeScript build. Each step is skipped when it is up to date; each that is not says what it does and why.
 *
 *   node scripts/setup.mjs --for start|demo|test [--then PROGRAM [its arguments]]
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const OLDEST_NODE = [20, 19];
const { purpose, program, programArguments } = readArguments(process.argv.slice(2));

/** What the machine must have: how to see that it is there, the package that brings it, what it is for. */
const SYSTEM_PACKAGES = [
  { name: 'g++', why: 'compiles the training engine', there: () => inPath('g++') },
  { name: 'make', why: 'builds the training engine', there: () => inPath('make') },
  { name: 'python3', why: 'node-gyp runs on it', there: () => inPath('python3') },
  { name: 'libdnnl-dev', why: 'oneDNN, which the training engine computes with', there: () => hasHeader('dnnl.hpp') },
  {
    name: 'redis-server',
    why: 'the queue of training runs',
    there: () => inPath('redis-server'),
    needless: () => Boolean(process.env.REDIS_URL) && purpose === 'start',
  },
  {
    name: 'dataset-fashion-mnist',
    why: 'the images to train on',
    there: () => existsSync('/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz'),
    needless: () => purpose === 'start' || programArguments.some((argument) => /^--data(=|$)/.test(argument)),
  },
  {
    name: 'python3-onnx',
    why: "ONNX's own checker, which the tests hold every preset's file to",
    there: () => existsSync('/usr/lib/python3/dist-packages/onnx'),
    needless: () => purpose !== 'test',
  },
  {
    name: 'python3-torch',
    why: 'PyTorch, which the tests compare the training engine with',
    there: () => existsSync('/usr/lib/python3/dist-packages/torch'),
    needless: () => purpose !== 'test',
  },
  {
    name: 'chromium',
    why: 'the browser that the tests open the dashboard in',
    there: () => inPath('chromium'),
    needless: () => purpose !== 'test',
  },
  {
    name: 'python3-torchvision',
    why: "torchvision's networks, which the tests compare ours with",
    there: () => existsSync('/usr/lib/python3/dist-packages/torchvision'),
    needless: () => purpose !== 'test',
  },
];

/** In order; `inputs` decide whether a step has to be taken again, `output` must be there. */
const STEPS = [
  {
    what: 'npm ci',
    why: 'the locked packages',
    inputs: ['package-lock.json', '.npmrc'],
    output: 'node_modules',
    run: () => npm('ci', '--no-audit', '--no-fund', '--include=dev', '--include=optional'),
  },
  {
    what: 'prisma generate',
    why: "the database client's code",
    inputs: ['package-lock.json', 'prisma/schema.prisma', 'prisma.config.ts'],
    output: 'src/infra/prisma',
    run: () => node('node_modules/prisma/build/index.js', 'generate'),
  },
  {
    what: 'native build',
    why: 'the training engine in C++',
    inputs: ['native/binding.gyp', 'native/src', 'package-lock.json'],
    also: () => [process.version, process.arch, ...headerVersions()],
    output: 'native/build',
    run: () => node('node_modules/node-gyp/bin/node-gyp.js', 'rebuild', '--directory', 'native', ...nodeHeaders()),
  },
  {
    what: 'tsc',
    why: 'TypeScript to dist/',
    inputs: ['package-lock.json', 'prisma', 'tsconfig.json', 'tsconfig.build.json', 'src', 'workers', 'bench'],
    output: 'dist',
    run: () => node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'),
  },
  {
    what: 'vite build',
    why: 'the dashboard',
    inputs: ['package-lock.json', 'schema.graphql', 'web'],
    output: 'web/dist',
    run: () => npm('run', 'build', '--workspace', 'web'),
  },
];

/** What the steps make amidst their inputs. */
const MADE = ['src/infra/prisma', 'web/dist', 'web/src/gql', 'web/node_modules'];

/** A step that came to nothing; the message says all there is to say. */
class SetupError extends Error {}

try {
  checkNode();
  await installSystemPackages();
  for (const step of STEPS) await takeStep(step);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`setup: ${error.message}\n`);
  process.exit(1);
}
if (program !== undefined) {
  process.argv.splice(1, Infinity, path.resolve(ROOT, program), ...programArguments);
  await import(pathToFileURL(path.resolve(ROOT, program)).href);
}

function readArguments([flag, purpose, then, program, ...programArguments]) {
  const understood = flag === '--for' && ['start', 'demo', 'test'].includes(purpose);
  if (understood && (!then || (then === '--then' && program))) return { purpose, program, programArguments };
  process.stderr.write('setup: node scripts/setup.mjs --for start|demo|test [--then PROGRAM [its arguments]]\n');
  process.exit(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]))
    throw new SetupError(`Node ${OLDEST_NODE.join('.')} or newer is needed; this is ${process.versions.node}`);
}

async function installSystemPackages() {
  const missing = SYSTEM_PACKAGES.filter(({ there, needless }) => !needless?.() && !there());
  if (missing.length === 0) return;
  const reasons = missing.map(({ name, why }) => `${name} (${why})`).join(', ');
  say(`missing on this machine: ${reasons}`);
  const names = missing.map(({ name }) => name);
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', ...names];
  const privileged = rootPrefix(`apt-get update && apt-get install -y --no-install-recommends ${names.join(' ')}`);
  const environment = ['env', 'DEBIAN_FRONTEND=noninteractive'];
  await timed(`apt-get update`, () => run([...privileged, ...environment, 'apt-get', 'update', '-q']));
  await timed(`apt-get install ${names.join(' ')}`, () => run([...privileged, ...environment, ...install]));
  const absent = missing.filter(({ there }) => !there()).map(({ name }) => name);
  if (absent.length > 0) throw new SetupError(`apt-get installed ${absent.join(', ')}, and yet it is not to be found`);
}

/** What to put before a command so that it runs as root. If there is no way, the user is told what to run. */
function rootPrefix(commandLine) {
  const isRoot = process.getuid() === 0;
  if (inPath('apt-get')) {
    if (isRoot) return [];
    if (inPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n'];
    if (inPath('sudo') && process.stdin.isTTY) {
      say('sudo asks for your password to install them');
      if (spawnSync('sudo', ['-v'], { stdio: 'inherit' }).status === 0) return ['sudo', '-n'];
    }
    throw new SetupError(`as root, run: ${commandLine}`);
  }
  throw new SetupError('this machine has no apt-get; install them by its own means and start again');
}

async function takeStep({ what, why, inputs, also, output, run: work }) {
  const stamp = path.join(ROOT, output, '.setup-stamp');
  const wanted = hashOf(inputs, also?.() ?? []);
  const previous = existsSync(stamp) ? readFileSync(stamp, 'utf8') : undefined;
  if (previous === wanted) return;
  const reason = previous === undefined ? 'not done yet' : `${inputs.join(', ')} changed`;
  await timed(`${what}: ${why} (${reason})`, work);
  writeFileSync(stamp, wanted);
}

function hashOf(inputs, also) {
  const hash = createHash('sha256').update(JSON.stringify(also));
  for (const file of inputs.flatMap(filesUnder)) hash.update(`\0${file}\0`).update(readFileSync(path.join(ROOT, file)));
  return hash.digest('hex');
}

/** Relative to the root, in a fixed order, without what the steps themselves make. */
function filesUnder(entry) {
  const found = statSync(path.join(ROOT, entry), { throwIfNoEntry: false });
  if (found === undefined || MADE.includes(entry)) return [];
  if (found.isFile()) return [entry];
  return readdirSync(path.join(ROOT, entry)).toSorted().flatMap((name) => filesUnder(`${entry}/${name}`));
}

function node(...command) {
  return run([process.execPath, ...command]);
}

function npm(...command) {
  const viaNpm = process.env.npm_execpath?.endsWith('npm-cli.js');
  return run([...(viaNpm ? [process.execPath, process.env.npm_execpath] : ['npm']), ...command], {
    ...(!writableHome() && { npm_config_cache: path.join(tmpdir(), `residual-npm-${process.getuid()}`) }),
    NODE_ENV: 'development',
  });
}

/** Runs a command in the root folder, silently; if it fails, shows the end of what it said. */
function run([file, ...args], environment = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: ROOT,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk) => (output = (output + chunk).slice(-20_000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => reject(new SetupError(`${file} did not run: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve();
      process.stderr.write(`${output.trimEnd().split('\n').slice(-40).join('\n')}\n`);
      reject(new SetupError(`${[path.basename(file), ...args].join(' ')} failed (${signal ?? `exit code ${code}`})`));
    });
  });
}

async function timed(what, work) {
  say(what);
  const start = performance.now();
  await work();
  say(`  done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

/** Standard output belongs to the program that follows. */
function say(line) {
  process.stderr.write(`setup: ${line}\n`);
}

function inPath(program) {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => executable(path.join(folder, program)));
}

function executable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function includeFolders() {
  const given = (process.env.CPLUS_INCLUDE_PATH ?? '').split(path.delimiter).filter(Boolean);
  return [...given, '/usr/local/include', '/usr/include'];
}

function hasHeader(name) {
  return includeFolders().some((folder) => existsSync(path.join(folder, name)));
}

/** So that a new oneDNN means a new build. */
function headerVersions() {
  return includeFolders()
    .flatMap((folder) => ['dnnl_version.h', 'oneapi/dnnl/dnnl_version.h'].map((name) => path.join(folder, name)))
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, 'utf8'));
}

/** Node's own headers where they came with it; node-gyp would download them otherwise. */
function nodeHeaders() {
  const prefix = path.resolve(process.execPath, '../..');
  return existsSync(path.join(prefix, 'include/node/node.h')) ? [`--nodedir=${prefix}`] : [];
}

function writableHome() {
  try {
    accessSync(homedir(), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
