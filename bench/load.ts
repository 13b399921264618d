import path from 'node:path';
import { run } from './processes.js';

/** Requests for predictions. */
export interface Predictions {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent one after the other by each connection, and again from the first. */
  readonly bodies: readonly string[];
  /** Probabilities that a right answer to any of them holds. */
  readonly probabilities: number;
}

/** What a client in a process of its own sends, and for how long. */
export interface Load extends Predictions {
  /** Each has one request under way at a time. */
  readonly connections: number;
  readonly seconds?: number;
  /** Requests, in place of a time. */
  readonly amount?: number;
}

export interface LoadFigures {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requests: number;
  /** Answers that were none (an error of HTTP or of GraphQL, too few predictions) and connections that broke. */
  readonly failures: number;
}

/** Both the API and the peer call a class's score so. */
export const countProbabilities = (answer: string) => answer.split('"probability":').length - 1;

export async function load(what: Load): Promise<LoadFigures> {
  const client = path.join(import.meta.dirname, 'load-client.js');
  return JSON.parse(await run(process.execPath, [client], { input: JSON.stringify(what) })) as LoadFigures;
}

/** @throws Error where one of the requests is not answered with as many predictions as it has images. */
export async function checkAnswers({ url, headers, bodies, probabilities }: Predictions): Promise<void> {
  for (const body of bodies) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    const answer = await response.text();
    if (!response.ok || countProbabilities(answer) !== probabilities)
      throw new Error(`${url} answers ${response.status}: ${answer.slice(0, 500)}`);
  }
}
