import { useId, useState, type FormEvent, type ReactNode } from 'react';
import { flushSync } from 'react-dom';
import { INPUT_FIELDS } from '../gql/input-fields';
import type { Problem } from '../api/problem';
import { ProblemNote } from './problem-note';

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

export interface Group {
  readonly title: string;
  /** Names of the input's own fields, in their order on the page. */
  readonly fields: readonly string[];
}

interface InputFormProps {
  readonly input: InputName;
  /** Fields in none of them come last, under `Other`: what the schema gets anew is on the page. */
  readonly groups: readonly Group[];
  /** Names of fields that come before the others of their input, in this order, wherever they are. */
  readonly first?: readonly string[];
  readonly initial?: Entries;
  /** Where the page fills fields in too: what stands in them, kept by the page and told it by `onEntries`. */
  readonly entries?: Entries;
  readonly onEntries?: (entries: Entries) => void;
  /** By path: what is offered while one writes. */
  readonly choices?: Readonly<Record<string, readonly string[]>>;
  /** By path: what stands there until one writes, where that is not the schema's default. */
  readonly placeholders?: Readonly<Record<string, string>>;
  /** By path: what stands under a field. */
  readonly beside?: Readonly<Record<string, ReactNode>>;
  readonly problem?: Problem | undefined;
  readonly submitLabel: string;
  readonly busy?: boolean;
  readonly onSubmit: (value: unknown) => void;
  readonly onChange?: (value: unknown) => void;
  readonly children?: ReactNode;
}

const fieldsOf = (input: string): readonly InputField[] => INPUT_FIELDS[input as InputName];

/**
 * A form for every field of an input type. What is left empty is not sent, so that the API's default, which is shown in
 * its place, holds. An error of the API stands beside the field that it names.
 */
export function InputForm({ input, groups, initial = {}, onSubmit, onChange, ...props }: InputFormProps) {
  const [own, setOwn] = useState(initial);
  const entries = props.entries ?? own;
  const [faults, setFaults] = useState<Record<string, string>>({});
  const listed = new Set(groups.flatMap(({ fields }) => fields));
  const others = fieldsOf(input).filter(({ name }) => !listed.has(name));
  const shown = [...groups, ...(others.length > 0 ? [{ title: 'Other', fields: others.map(({ name }) => name) }] : [])];
  const field = props.problem?.field;
  const isShown =
    field !== undefined && pathsOf(input, entries).some((path) => path === field || field.startsWith(`${path}.`));

  function take(next: Entries) {
    setOwn(next);
    props.onEntries?.(next);
    if (onChange) onChange(readEntries(input, next).value);
  }

  function set(path: string, text: string | undefined) {
    const { [path]: _old, ...rest } = entries;
    take(text === undefined || text === '' ? rest : { ...rest, [path]: text });
  }

  const clear = (under: string) =>
    take(Object.fromEntries(Object.entries(entries).filter(([path]) => !path.startsWith(`${under}.`))));

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const read = readEntries(input, entries);
    const found = { ...missing(input, entries), ...read.faults };
    // Before the focus moves, so that the field says what is wrong with it.
    flushSync(() => setFaults(found));
    if (Object.keys(found).length === 0) onSubmit(read.value);
    else event.currentTarget.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
  }

  const context: FieldContext = {
    entries,
    set,
    clear,
    choices: props.choices ?? {},
    beside: props.beside ?? {},
    placeholders: props.placeholders ?? {},
    first: props.first ?? [],
    faults: { ...faults, ...(field !== undefined && { [field]: props.problem!.message }) },
  };
  return (
    <form className="input-form" onSubmit={submit} noValidate>
      {shown.map(({ title, fields }) => (
        <fieldset key={title}>
          <legend>{title}</legend>
          <div className="fields">
            {inOrder(fieldsOf(input), fields)
              .filter(({ name }) => fields.includes(name))
              .map((field) => <AnyField key={field.name} field={field} path={field.name} context={context} />)}
          </div>
        </fieldset>
      ))}
      {props.children}
      {!isShown && <ProblemNote problem={props.problem} />}
      {(isShown || Object.keys(faults).length > 0) && (
        <p role="alert" className="problem">Not yet: see the field marked above.</p>
      )}
      <button type="submit" className="primary" disabled={props.busy}>{props.submitLabel}</button>
    </form>
  );
}

interface FieldContext {
  readonly entries: Entries;
  readonly set: (path: string, text: string | undefined) => void;
  /** Empties all fields under a path. */
  readonly clear: (under: string) => void;
  readonly choices: Readonly<Record<string, readonly string[]>>;
  readonly beside: Readonly<Record<string, ReactNode>>;
  readonly placeholders: Readonly<Record<string, string>>;
  readonly first: readonly string[];
  /** By path. */
  readonly faults: Readonly<Record<string, string>>;
}

interface FieldProps {
  readonly field: InputField;
  readonly path: string;
  readonly context: FieldContext;
}

function AnyField({ field, path, context }: FieldProps) {
  if (!field.isInput) return <PlainField field={field} path={path} context={context} />;
  if (field.isList) return <ListField field={field} path={path} context={context} />;
  return (
    <fieldset className="nested">
      <legend>{words(field.name)}</legend>
      {field.description && <p className="hint">{field.description}</p>}
      <div className={gridOf(field)}>
        {inOrder(fieldsOf(field.type), context.first).map((inner) => (
          <AnyField key={inner.name} field={inner} path={`${path}.${inner.name}`} context={context} />
        ))}
      </div>
    </fieldset>
  );
}

function ListField({ field, path, context }: FieldProps) {
  const [added, setAdded] = useState(0);
  const length = Math.max(added, lengthOf(context.entries, path));
  const one = words(field.name).replace(/s$/, '');
  function removeLast() {
    setAdded(length - 1);
    context.clear(`${path}.${length - 1}`);
  }
  return (
    <fieldset className="nested">
      <legend>{words(field.name)}</legend>
      {field.description && <p className="hint">{field.description}</p>}
      {Array.from({ length }, (_, item) => (
        <fieldset key={item} className="item">
          <legend>{one} {item + 1}</legend>
          <div className={gridOf(field)}>
            {inOrder(fieldsOf(field.type), context.first).map((inner) => (
              <AnyField key={inner.name} field={inner} path={`${path}.${item}.${inner.name}`} context={context} />
            ))}
          </div>
        </fieldset>
      ))}
      <div className="actions">
        <button type="button" onClick={() => setAdded(length + 1)}>Add a {one}</button>
        {length > 0 && (
          <button type="button" className="quiet" onClick={removeLast}>Remove {one} {length}</button>
        )}
      </div>
    </fieldset>
  );
}

function PlainField({ field, path, context }: FieldProps) {
  const id = useId();
  const { entries, set, choices, faults } = context;
  const fault = faults[path] ?? Object.entries(faults).find(([at]) => at.startsWith(`${path}.`))?.[1];
  const described = [field.description && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(' ') || undefined;
  const common = {
    id,
    name: path,
    value: entries[path] ?? '',
    'aria-describedby': described,
    'aria-invalid': fault !== undefined,
    'aria-required': field.isRequired && field.default === undefined,
  };
  const fallback = context.placeholders[path] ?? field.default;
  const options = field.values ?? (field.type === 'Boolean' ? ['true', 'false'] : undefined);
  const offered = choices[path];
  return (
    <div className={fault ? 'field faulty' : 'field'}>
      <label htmlFor={id}>{words(field.name)}</label>
      {options ? (
        <select {...common} onChange={({ target }) => set(path, target.value)}>
          <option value="">{fallback === undefined ? '–' : `${fallback} (default)`}</option>
          {options.map((option) => <option key={option}>{option}</option>)}
        </select>
      ) : isTexts(field) ? (
        <textarea
          {...common}
          rows={2}
          placeholder={fallback ?? ''}
          onChange={({ target }) => set(path, target.value)}
        />
      ) : (
        <input
          {...common}
          type="text"
          inputMode={isNumber(field) && !field.isList ? 'decimal' : 'text'}
          placeholder={fallback ?? ''}
          list={offered && `${id}-offered`}
          onChange={({ target }) => set(path, target.value)}
        />
      )}
      {offered && <datalist id={`${id}-offered`}>{offered.map((choice) => <option key={choice} value={choice} />)}</datalist>}
      {field.description && <p id={`${id}-hint`} className="hint">{field.description}{field.isList && ' Separated by commas, or one on each line.'}</p>}
      {fault && <p id={`${id}-fault`} className="fault">{fault}</p>}
      {context.beside[path]}
    </div>
  );
}

/** Those named first come first; the others stay as they are, since the schema is sorted by name. */
function inOrder(fields: readonly InputField[], first: readonly string[]): readonly InputField[] {
  const place = ({ name }: InputField) => (first.includes(name) ? first.indexOf(name) : first.length);
  return fields.toSorted((a, b) => place(a) - place(b));
}

const isTexts = ({ isList, type }: InputField) => isList && type === 'String';
const isNumber = ({ type }: InputField) => type === 'Int' || type === 'Float';

/** Up to three short fields stand on one line. */
const gridOf = ({ type }: InputField) => (fieldsOf(type).length > 3 ? 'fields' : 'fields few');
/** learningRate → learning rate */
const words = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

const lengthOf = (entries: Entries, path: string): number =>
  Object.keys(entries)
    .filter((key) => key.startsWith(`${path}.`))
    .reduce((length, key) => Math.max(length, Number(key.slice(path.length + 1).split('.')[0]) + 1), 0);

/** Names may have commas in them where each has a line of its own. */
const itemsOf = (text: string): string[] => text.split(text.includes('\n') ? '\n' : ',').map((item) => item.trim());

/** Every path that has a field of its own now. */
function pathsOf(input: string, entries: Entries, at = ''): string[] {
  return fieldsOf(input).flatMap((field) => {
    const path = `${at}${field.name}`;
    if (!field.isInput) return [path];
    if (!field.isList) return pathsOf(field.type, entries, `${path}.`);
    return Array.from({ length: lengthOf(entries, path) }, (_, item) => pathsOf(field.type, entries, `${path}.${item}.`)).flat();
  });
}

/** Required fields that are empty, of the input and of what is begun in it. */
function missing(input: string, entries: Entries, at = ''): Record<string, string> {
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
