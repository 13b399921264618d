import type { Command } from 'commander';
import { readClientConfig } from '../config.js';
import { connectApi, type ApiClient } from './client.js';
import { findCredentials } from './credentials.js';

/** Options of every command. */
export interface GlobalOptions {
  readonly url?: string;
  readonly key?: string;
  readonly json?: boolean;
}

/** What a command says, and where: results on standard output, everything else on standard error. */
export interface Output {
  /** The result: as text to people, as it stands to programs. */
  result(value: unknown, text: string): void;
  /** What happens meanwhile. */
  note(line: string): void;
}

export interface Session extends Output {
  readonly api: ApiClient;
}

/** Does the work of a command with a client of the API. */
export async function withApi(command: Command, work: (session: Session) => Promise<void>): Promise<void> {
  const options = command.optsWithGlobals<GlobalOptions>();
  const { url, key } = await findCredentials(readClientConfig(), options);
  const api = connectApi(url, key);
  try {
    await work({ api, ...outputOf(options) });
  } finally {
    await api.close();
  }
}

export function outputOf({ json }: GlobalOptions): Output {
  return {
    result: (value, text) => void process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : `${text}\n`),
    note: (line) => void process.stderr.write(`${line}\n`),
  };
}
