import { badInput } from '../errors.js';

/** What users call things. `field` is the argument's dotted path, for the error. */

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const MIN_CLASSES = 2;
const MAX_CLASSES = 10_000;
const MAX_CLASS_NAME_LENGTH = 200;
const MAX_DESCRIPTION_LENGTH = 2_000;

/** @throws BAD_USER_INPUT */
export function checkName(name: string, field: string): void {
  if (NAME.test(name)) return;
  throw badInput(field, 'a name is 1 to 63 of a-z, 0-9, dot, underscore and hyphen, and begins with a letter or digit');
}

/** @throws BAD_USER_INPUT */
export function checkDescription(description: string, field: string): void {
  if (description.length > MAX_DESCRIPTION_LENGTH)
    throw badInput(field, `has at most ${MAX_DESCRIPTION_LENGTH} characters`);
  if (description.includes('\0')) throw badInput(field, 'must not contain NUL, which PostgreSQL does not store');
}

const MAX_TEXT_LENGTH = 200;

/** @throws BAD_USER_INPUT for what is empty, too long, or holds control characters (PostgreSQL stores no NUL). */
export function checkText<T extends string | null>(field: string, value: T): T {
  if (value !== null && !/^[^\p{Cc}]+$/u.test(value)) throw badInput(field, 'must be printable text');
  if (value !== null && value.length > MAX_TEXT_LENGTH)
    throw badInput(field, `has at most ${MAX_TEXT_LENGTH} characters`);
  return value;
}

/** Names by label. @throws BAD_USER_INPUT */
export function checkClassNames(classNames: readonly string[], field: string): void {
  if (classNames.length < MIN_CLASSES || classNames.length > MAX_CLASSES)
    throw badInput(field, `there are ${MIN_CLASSES} to ${MAX_CLASSES} classes, not ${classNames.length}`);
  const seen = new Set<string>();
  for (const [index, className] of classNames.entries()) {
    if (className.trim() === '' || className.length > MAX_CLASS_NAME_LENGTH)
      throw badInput(`${field}.${index}`, `a class name has 1 to ${MAX_CLASS_NAME_LENGTH} characters`);
    if (/\p{Cc}/u.test(className)) throw badInput(`${field}.${index}`, 'must be printable text');
    if (seen.has(className)) throw badInput(`${field}.${index}`, `the class name ${className} is there twice`);
    seen.add(className);
  }
}
