import { badInput } from '../errors.js';

/** Which version of a model a request means, and which of its networks. */
export interface Reference {
  readonly model: string;
  /** `preferred`, of a bare name: what the alias `production` points at, or the newest where there is no such alias. */
  readonly version: VersionSelector | 'preferred';
  /** Its network in eight bits, rather than in float32. */
  readonly int8?: true;
}

/** A version's number, counted from 1; the newest there is; or the one that an alias points at. */
export type VersionSelector = number | 'latest' | { readonly alias: string };

export const PREFERRED_ALIAS = 'production';

const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const VERSION_NUMBER = /^[1-9]\d{0,8}$/;
/** Begins with a letter, so that it is no number. */
const ALIAS_NAME = /^(?!latest$)[a-z][a-z0-9._-]{0,62}$/;
const FORMS = 'write name, name:3, name:latest or name@alias';

/**
 * Reads `name`, `name:3`, `name:latest` or `name@alias`; `#int8` behind any of them means its network in eight bits.
 * @param field dotted path of the argument, for the error
 * @throws BAD_USER_INPUT
 */
export function parseReference(text: string, field: string): Reference {
  const hash = text.indexOf('#');
  if (hash >= 0) {
    if (text.slice(hash) !== '#int8') throw badInput(field, `"${text}": behind # can only be int8`);
    return { ...parseReference(text.slice(0, hash), field), int8: true };
  }
  const [, model, mark, rest] = /^([^:@]*)([:@]?)(.*)$/s.exec(text) as unknown as [string, string, string, string];
  if (!MODEL_NAME.test(model)) throw badInput(field, `"${text}" is no reference to a model; ${FORMS}`);
  if (mark === '') return { model, version: 'preferred' };
  if (mark === '@') return { model, version: { alias: checkAlias(rest, field) } };
  return { model, version: parseNumber(rest) ?? refuse(field, `"${rest}" is no version of ${model}; ${FORMS}`) };
}

/**
 * Reads `3`, `latest` or an alias.
 * @throws BAD_USER_INPUT
 */
export function parseVersion(text: string, field: string): VersionSelector {
  const wanted = 'write a number from 1 on, latest, or an alias';
  const version = parseNumber(text) ?? (ALIAS_NAME.test(text) ? { alias: text } : undefined);
  return version ?? refuse(field, `"${text}" is no version; ${wanted}`);
}

/**
 * An alias never reads as a number or as `latest`, so that one word says which version is meant.
 * @throws BAD_USER_INPUT
 */
export function checkAlias(name: string, field: string): string {
  if (ALIAS_NAME.test(name)) return name;
  return refuse(
    field,
    `"${name}" is no alias: one is 1 to 63 of a-z, 0-9, dot, underscore and hyphen, begins with a letter and is not latest`,
  );
}

function parseNumber(text: string): number | 'latest' | undefined {
  if (text === 'latest') return text;
  return VERSION_NUMBER.test(text) ? Number(text) : undefined;
}

function refuse(field: string, message: string): never {
  throw badInput(field, message);
}
