import { badInput } from '../errors.js';

/** Which version of a model a request means. */
export interface Reference {
  readonly model: string;
  readonly version: VersionSelector;
}

/** A version's number, counted from 1, or the newest there is. */
export type VersionSelector = number | 'latest';

const MODEL_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const VERSION_NUMBER = /^[1-9]\d{0,8}$/;

/**
 * Reads `name`, `name:3` or `name:latest`; a bare name means the newest version.
 * @param field dotted path of the argument, for the error
 * @throws BAD_USER_INPUT
 */
export function parseReference(text: string, field: string): Reference {
  if (text.includes('@'))
    throw badInput(field, `"${text}": aliases are not there yet; write name, name:3 or name:latest`);
  const [model = '', version, ...rest] = text.split(':');
  if (!MODEL_NAME.test(model) || rest.length > 0)
    throw badInput(field, `"${text}" is no reference to a model; write name, name:3 or name:latest`);
  return { model, version: version === undefined ? 'latest' : parseVersion(version, field) };
}

/**
 * Reads `3` or `latest`.
 * @throws BAD_USER_INPUT
 */
export function parseVersion(text: string, field: string): VersionSelector {
  if (text === 'latest') return text;
  if (!VERSION_NUMBER.test(text)) throw badInput(field, `"${text}" is no version; write a number from 1 on, or latest`);
  return Number(text);
}
