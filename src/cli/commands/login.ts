import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { readClientConfig } from '../../config.js';
import { withExample } from '../arguments.js';
import { connectApi } from '../client.js';
import { DEFAULT_URL, endpoint, storeCredentials } from '../credentials.js';
import { outputOf, type GlobalOptions } from '../session.js';
import { UsageError } from '../usage-error.js';

export function addLogin(program: Command): void {
  const command = program
    .command('login')
    .description('check an address and a key, and keep them for the other commands')
    .addHelpText('after', '\nWhat is not given is asked for; the key is read unseen, or from standard input.')
    .action(login);
  withExample(command, 'npx residual login --url http://127.0.0.1:4000');
}

async function login(_options: unknown, command: Command): Promise<void> {
  const options = command.optsWithGlobals<GlobalOptions>();
  const config = readClientConfig();
  const url = endpoint(options.url ?? config.url ?? (await askFor(`URL [${DEFAULT_URL}]: `, 'shown')) ?? DEFAULT_URL);
  const key = options.key ?? config.key ?? (await askFor('Key: ', 'hidden'));
  if (key === undefined) throw new UsageError('login needs a key: --key, RESIDUAL_KEY, or a line on standard input');
  await checkKey(url, key);
  const file = await storeCredentials(config.configFolder, { url, key });
  outputOf(options).result({ url, file }, `Logged in to ${url}; ${file} keeps the key.`);
}

async function checkKey(url: string, key: string): Promise<void> {
  const api = connectApi(url, key);
  await api.request('{ models(first: 1) { totalCount } }').finally(() => api.close());
}

/**
 * A line from the terminal; without one, the key is a line of standard input, and nothing is asked.
 * @returns undefined where there is none
 */
async function askFor(question: string, echo: 'shown' | 'hidden'): Promise<string | undefined> {
  const { isTTY } = process.stdin;
  if (!isTTY && echo === 'shown') return undefined;
  if (isTTY) process.stderr.write(question);
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
  const output = echo === 'hidden' ? unseen : process.stderr;
  const reader = createInterface({ input: process.stdin, output, terminal: isTTY === true });
  // Or Ctrl-C would only end the line.
  reader.on('SIGINT', () => process.exit(130));
  const [line] = (await Promise.race([once(reader, 'line'), once(reader, 'close')])) as [string?];
  reader.close();
  if (isTTY && echo === 'hidden') process.stderr.write('\n');
  return line?.trim() || undefined;
}
