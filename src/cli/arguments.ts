import { InvalidArgumentError, Option, type Command } from 'commander';
import { readFile } from 'node:fs/promises';
import { UsageError } from './usage-error.js';

/** Readers of what is written on the command line. */

export function wholeNumber(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

export function decimal(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

export function versionNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('It must be the number of a version.');
  return Number(text);
}

export function pngFile(text: string): string {
  if (!/\.png$/i.test(text)) throw new InvalidArgumentError('It must end in .png.');
  return text;
}

/** For an option that may be given again. */
export const collected = (text: string, before: readonly string[] = []): string[] => [...before, text];

/** An option for one of a few words, which may be written small and with hyphens. */
export function choice(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words).argParser((text: string) => {
    const word = text.toUpperCase().replaceAll('-', '_');
    if (!words.includes(word)) throw new InvalidArgumentError(`Allowed choices are ${words.join(', ')}.`);
    return word;
  });
}

/** 28x28x1: height, width, channels. */
export function shape(text: string): { height: number; width: number; channels: number } {
  const [, height, width, channels] = /^(\d+)x(\d+)x(\d+)$/.exec(text) ?? [];
  if (channels === undefined) throw new InvalidArgumentError('It must be HEIGHTxWIDTHxCHANNELS: 28x28x1.');
  return { height: Number(height), width: Number(width), channels: Number(channels) };
}

/** a,b,c, or a JSON array where a name has a comma. */
export function classNames(text: string): string[] {
  if (!text.startsWith('[')) return text.split(',').map((name) => name.trim());
  const names = jsonOf(text);
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names as string[];
  throw new InvalidArgumentError('It must be a JSON array of strings.');
}

export function jsonObject(text: string): Record<string, unknown> {
  const value = jsonOf(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidArgumentError('It must be a JSON object.');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError('It is not JSON.');
  }
}

/** @throws UsageError */
export async function readJsonFile(file: string): Promise<Record<string, unknown>> {
  const text = await readFile(file, 'utf8').catch((error: Error) => Promise.reject(new UsageError(error.message)));
  try {
    return jsonObject(text);
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
}

/** `name` or `name@version` of a data set. @throws UsageError */
export function datasetReference(text: string): { name: string; version: number | undefined } {
  const [, name, version] = /^([^@]+)(?:@(\d+))?$/.exec(text) ?? [];
  if (name === undefined) throw new UsageError(`a data set is NAME or NAME@VERSION, not ${text}`);
  return { name, version: version === undefined ? undefined : Number(version) };
}

/** `model`, `model:version` or `model@alias`. @throws UsageError */
export function modelReference(text: string): { model: string; ref: string | undefined } {
  const [, model, ref] = /^([^:@#]+)(?:[:@]([^:@#]+))?$/.exec(text) ?? [];
  if (model === undefined) throw new UsageError(`it must be MODEL, MODEL:VERSION or MODEL@ALIAS, not ${text}`);
  return { model, ref };
}

/** Its help ends with an example. */
export function withExample(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExample:\n${lines.map((line) => `  $ ${line}`).join('\n')}`);
}
