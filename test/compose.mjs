/** `npm run test:compose`: the integration tests against the servers of docker-compose.yml, started for them alone. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';

const ROOT = path.dirname(import.meta.dirname);
const secret = () => randomBytes(16).toString('hex');
const secrets = {
  POSTGRES_PASSWORD: secret(),
  REDIS_PASSWORD: secret(),
  S3_ACCESS_KEY: secret(),
  S3_SECRET_KEY: secret(),
  RESIDUAL_ADMIN_KEY: secret(),
};
const COMPOSE = [
  'compose', '--project-name', `residual-test-${process.pid}`, '--project-directory', ROOT,
  '--file', path.join(ROOT, 'docker-compose.yml'), '--file', path.join(ROOT, 'test/compose.yml'),
];

function run(file, args, { env = {}, stdio = 'inherit' } = {}) {
  const options = { cwd: ROOT, env: { ...process.env, ...secrets, ...env }, stdio, encoding: 'utf8' };
  const { status, error, stdout } = spawnSync(file, args, options);
  if (error) throw new Error(`${file} did not run: ${error.message}`);
  if (status !== 0) throw new Error(`${file} ${args.slice(0, 1).join(' ')} failed (exit code ${status})`);
  return stdout;
}

const docker = (...args) => run('docker', [...COMPOSE, ...args]);

/** `127.0.0.1:49153` */
const addressOf = (service, port) =>
  run('docker', [...COMPOSE, 'port', service, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] }).trim();

function integrationTests() {
  const vitest = path.join(ROOT, 'node_modules/vitest/vitest.mjs');
  run(process.execPath, [vitest, 'run', 'test/integration', ...process.argv.slice(2)], {
    env: {
      DATABASE_URL: `postgresql://residual:${secrets.POSTGRES_PASSWORD}@${addressOf('postgres', 5432)}/residual`,
      REDIS_URL: `redis://:${secrets.REDIS_PASSWORD}@${addressOf('redis', 6379)}`,
      S3_ENDPOINT: `http://${addressOf('minio', 9000)}`,
    },
  });
}

try {
  run(process.execPath, [path.join(ROOT, 'scripts/setup.mjs'), '--for', 'test']);
  try {
    docker('up', '--detach', '--wait', 'postgres', 'redis', 'minio');
    integrationTests();
  } finally {
    docker('down', '--volumes');
  }
} catch (error) {
  process.stderr.write(`test:compose: ${error.message}\n`);
  process.exit(1);
}
