/**
 * Runs npm scripts at the same time, shows what each said once it has ended, and fails where one of them did.
 *
 *   node scripts/side-by-side.mjs SCRIPT...
 */
import { spawn } from 'node:child_process';

const start = performance.now();
const succeeded = await Promise.all(process.argv.slice(2).map(run));
if (succeeded.includes(false)) process.exitCode = 1;

function run(script) {
  return new Promise((resolve) => {
    const child = spawn('npm', ['run', '--silent', script], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
    child.on('error', (error) => (said += `npm did not run: ${error.message}\n`));
    child.on('close', (code, signal) => {
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      const outcome = code === 0 ? 'passed' : `failed (${signal ?? `exit code ${code}`})`;
      process.stdout.write(`${said}${script}: ${outcome} after ${seconds} s\n`);
      resolve(code === 0);
    });
  });
}
