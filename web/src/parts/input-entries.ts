import { INPUT_FIELDS } from '../gql/input-fields';
import type { Problem } from '../api/problem';

/** A field of an input type, as `input-fields-plugin.mjs` reads it from the schema. */
export interface InputField {
  readonly name: string;
  /** Of one item, where it is a list. */
  readonly type: string;
  readonly isList: boolean;
  readonly isRequired: boolean;
  readonly description?: string;
  /** As one writes it. */
  readonly default?: string;
  /** Of an enum. */
  readonly values?: readonly string[];
  /** Its type is an input type itself. */
  readonly isInput?: true;
}

export type InputName = keyof typeof INPUT_FIELDS;

/** What stands in the fields, by dotted path: `optimizer.learningRate`, `stages.0.width`. Empty ones are not there. */
export type Entries = Readonly<Record<string, string>>;

export const fieldsOf = (input: string): readonly InputField[] => INPUT_FIELDS[input as InputName];

export const isNumber = ({ type }: InputField) => type === 'Int' || type === 'Float';

/** How many items of a list of inputs have something written in them. */
export const lengthOf = (entries: Entries, path: string): number =>
  Object.keys(entries)
    .filter((key) => key.startsWith(`${path}.`))
    .reduce((length, key) => Math.max(length, Number(key.slice(path.length + 1).split('.')[0]) + 1), 0);

/** Names may have commas in them where each has a line of its own. */
const itemsOf = (text: string): string[] => text.split(text.includes('\n') ? '\n' : ',').map((item) => item.trim());

/** Every path that has a place on the page now: a field of its own, a group of fields, or an item of a list. */
function pathsOf(input: string, entries: Entries, at = ''): string[] {
  return fieldsOf(input).flatMap((field) => {
    const path = `${at}${field.name}`;
    if (!field.isInput) return [path];
    if (!field.isList) return [path, ...pathsOf(field.type, entries, `${path}.`)];
    const items = Array.from({ length: lengthOf(entries, path) }, (_, item) => `${path}.${item}`);
    return [path, ...items.flatMap((item) => [item, ...pathsOf(field.type, entries, `${item}.`)])];
  });
}

/** `inner` is `path` or something in it. */
export const isWithin = (path: string, inner: string): boolean => inner === path || inner.startsWith(`${path}.`);

export interface Fault {
  readonly path: string;
  readonly message: string;
}

/**
 * What stands beside which field of what the API refused: beside the one that it names or, where that has no place of
 * its own (an item of a list of words, say), beside the one that holds it. Undefined where neither is on the page.
 */
export function placeFault(input: string, entries: Entries, { field, message }: Problem): Fault | undefined {
  if (field === undefined) return undefined;
  // The innermost comes last.
  const path = pathsOf(input, entries).findLast((path) => isWithin(path, field));
  if (path === undefined) return undefined;
  return { path, message: path === field ? message : `${inWords(field.slice(path.length + 1))}: ${message}` };
}

/** Items are counted from 1 on the page. */
const inWords = (within: string) => (/^\d+$/.test(within) ? `item ${Number(within) + 1}` : within);

/** Required fields that are empty, of the input and of what is begun in it. */
export function missing(input: string, entries: Entries, at = ''): Record<string, string> {
  const faults = fieldsOf(input).map((field): Record<string, string> => {
    const path = `${at}${field.name}`;
    if (!field.isInput) return field.isRequired && !entries[path]?.trim() ? { [path]: 'must be given' } : {};
    const items = Array.from({ length: lengthOf(entries, path) }, (_, item) => `${path}.${item}.`);
    if (field.isList) return Object.assign({}, ...items.map((item) => missing(field.type, entries, item)));
    const isBegun = Object.keys(entries).some((key) => key.startsWith(`${path}.`));
    return field.isRequired || isBegun ? missing(field.type, entries, `${path}.`) : {};
  });
  return Object.assign({}, ...faults);
}

/** The value that the API takes: objects only where something stands in them. Faults by path. */
export function readEntries(input: string, entries: Entries): { value: unknown; faults: Record<string, string> } {
  const faults: Record<string, string> = {};

  function readObject(name: string, at: string): Record<string, unknown> | undefined {
    const known = fieldsOf(name).map((field) => [field, readField(field, `${at}${field.name}`)] as const);
    const given = known.filter(([, value]) => value !== undefined);
    if (given.length === 0) return undefined;
    return Object.fromEntries(given.map(([field, value]) => [field.name, value]));
  }
  function readField(field: InputField, path: string): unknown {
    if (field.isInput && field.isList) {
      const items = Array.from({ length: lengthOf(entries, path) }, (_, item) => readObject(field.type, `${path}.${item}.`));
      return items.length > 0 ? items.map((item) => item ?? {}) : undefined;
    }
    if (field.isInput) return readObject(field.type, `${path}.`);
    const text = entries[path]?.trim();
    if (text === undefined || text === '') return undefined;
    return field.isList ? itemsOf(text).map((item) => readOne(field, item, path)) : readOne(field, text, path);
  }
  function readOne(field: InputField, text: string, path: string): unknown {
    if (field.type === 'Boolean') return text === 'true';
    if (!isNumber(field)) return text;
    const number = Number(text);
    if (!Number.isFinite(number) || text === '') faults[path] = `a number, not ${text}`;
    else if (field.type === 'Int' && !Number.isInteger(number)) faults[path] = `a whole number, not ${text}`;
    return number;
  }
  return { value: readObject(input, '') ?? {}, faults };
}
