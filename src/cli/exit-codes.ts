import { CommanderError } from 'commander';
import { ConfigError } from '../config.js';
import { ApiError, Unreachable } from './client.js';
import { Interrupted } from './follow-run.js';
import { UsageError } from './usage-error.js';

/** How a command ends that failed. */
const FAILED = 1;
const WRONG_USAGE = 2;
const UNREACHABLE = 3;
const INTERRUPTED = 130;

/** Says what happened in one line on standard error. @returns the exit code */
export function reportFailure(error: unknown): number {
  // Said by commander already, help among it.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`residual: ${oneLine(message)}${remedyFor(error)}\n`);
  return exitCodeOf(error);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof ConfigError) return WRONG_USAGE;
  if (error instanceof Unreachable) return UNREACHABLE;
  return error instanceof Interrupted ? INTERRUPTED : FAILED;
}

function remedyFor(error: unknown): string {
  const refused = error instanceof ApiError && error.code === 'UNAUTHENTICATED';
  return refused ? '; residual login takes another key' : '';
}

export const oneLine = (text: string): string => text.trim().replaceAll(/\s*\n\s*/g, ' ');
