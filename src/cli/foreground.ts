import { once } from 'node:events';
import { readStartConfig } from '../config.js';
import { unavailable } from '../errors.js';
import { startPlatform, type Platform } from '../local/platform.js';

const say = (line: string) => process.stderr.write(`residual: ${line}\n`);

/**
 * Starts the platform, runs `work` and then stays, until SIGINT, SIGTERM or SIGHUP asks for an ordered end (exit code
 * 0; a second signal ends at once) or something fails (one line on stderr, exit code 1). `work` may return 'exit' to
 * end by itself.
 */
export async function inForeground(work: (platform: Platform) => Promise<'stay' | 'exit'>): Promise<never> {
  const interruption = untilInterrupted();
  let platform: Platform | undefined;
  let exitCode = 0;
  try {
    const config = readStartConfig();
    platform = await startPlatform(config, say);
    const working = work(platform).then((then) => (then === 'stay' ? interruption : undefined));
    await Promise.race([working, interruption, platform.failed.then((reason) => Promise.reject(unavailable(reason)))]);
  } catch (error) {
    say(messageOf(error));
    exitCode = 1;
  }
  await platform?.stop();
  process.exit(exitCode);
}

/** Stays, once it has said in a line where the API is and the key to it. @param word before them */
export function stayUp(word = ''): Promise<never> {
  return inForeground(async ({ url, key }) => {
    process.stdout.write(`${word}${JSON.stringify({ url, key })}\n`);
    return 'stay';
  });
}

/** From a terminal Ctrl-C comes twice, once through npm; a second signal is one that comes after this. */
const REPEATED_WITHIN_MS = 1_000;

async function untilInterrupted(): Promise<void> {
  const interrupted = new AbortController();
  let firstAt = Infinity;
  const interrupt = () => {
    if (performance.now() - firstAt > REPEATED_WITHIN_MS) process.exit(130);
    firstAt = Math.min(firstAt, performance.now());
    interrupted.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  await once(interrupted.signal, 'abort');
}

const messageOf = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, ' ');
