import { useEffect, useRef, useState, type FormEvent, type ReactNode } from 'react';
import { flushSync } from 'react-dom';
import type { Problem } from '../api/problem';
import {
  fieldsOf,
  isWithin,
  missing,
  placeFault,
  readEntries,
  type Entries,
  type Fault,
  type InputName,
} from './input-entries';
import { AnyField, inOrder, type FieldContext } from './input-fields';
import { ProblemNote } from './problem-note';

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
  /** With what was sent; it stands beside its field until that is written anew. */
  readonly problem?: Problem | undefined;
  /** With what stands there now, where the page asks while one writes. */
  readonly liveProblem?: Problem | undefined;
  readonly submitLabel: string;
  readonly busy?: boolean;
  readonly onSubmit: (value: unknown) => void;
  readonly onChange?: (value: unknown) => void;
  readonly children?: ReactNode;
}

/**
 * A form for every field of an input type. What is left empty is not sent, so that the API's default, which is shown in
 * its place, holds. An error of the API stands beside the field that it names.
 */
export function InputForm({ input, groups, initial = {}, problem, onSubmit, onChange, ...props }: InputFormProps) {
  const { busy = false } = props;
  const [own, setOwn] = useState(initial);
  const entries = props.entries ?? own;
  const [faults, setFaults] = useState<Readonly<Record<string, string>>>({});
  /** Paths that were written since the last sending. */
  const [written, setWritten] = useState<readonly string[]>([]);
  const place = (found: Problem | undefined) => found && placeFault(input, entries, found);
  const [placed, live] = [place(problem), place(props.liveProblem)];
  const refused = placed && written.some((path) => isWithin(placed.path, path)) ? undefined : placed;
  const form = useRef<HTMLFormElement>(null);
  const isSent = useRef(false);
  const listed = new Set(groups.flatMap(({ fields }) => fields));
  const others = fieldsOf(input).filter(({ name }) => !listed.has(name));
  const shown = [...groups, ...(others.length > 0 ? [{ title: 'Other', fields: others.map(({ name }) => name) }] : [])];

  function take(next: Entries, path: string) {
    isSent.current = false;
    setWritten(written.includes(path) ? written : [...written, path]);
    setOwn(next);
    props.onEntries?.(next);
    if (onChange) onChange(readEntries(input, next).value);
  }

  function set(path: string, text: string | undefined) {
    const { [path]: _old, ...rest } = entries;
    const { [path]: _mended, ...remaining } = faults;
    setFaults(remaining);
    take(text === undefined || text === '' ? rest : { ...rest, [path]: text }, path);
  }

  const clear = (under: string) =>
    take(Object.fromEntries(Object.entries(entries).filter(([path]) => !isWithin(under, path))), under);

  function submit(event: FormEvent) {
    event.preventDefault();
    const read = readEntries(input, entries);
    const found = { ...missing(input, entries), ...read.faults };
    // Before the focus moves, so that the field says what is wrong with it.
    flushSync(() => setFaults(found));
    isSent.current = Object.keys(found).length === 0;
    if (!isSent.current) return focusFault(form.current);
    setWritten([]);
    onSubmit(read.value);
  }

  useEffect(() => {
    if (!isSent.current || busy || !refused) return;
    isSent.current = false;
    focusFault(form.current);
  }, [busy, refused]);

  const marked = { ...byPath(live), ...byPath(refused), ...faults };
  const context: FieldContext = {
    entries,
    set,
    clear,
    choices: props.choices ?? {},
    beside: props.beside ?? {},
    placeholders: props.placeholders ?? {},
    first: props.first ?? [],
    faults: marked,
  };
  return (
    <form ref={form} className="input-form" onSubmit={submit} noValidate>
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
      {!placed && <ProblemNote problem={problem} />}
      {Object.keys(marked).length > 0 && (
        <p role="alert" className="problem">Not yet: see what is marked above.</p>
      )}
      <button type="submit" className="primary" disabled={busy}>{props.submitLabel}</button>
    </form>
  );
}

const byPath = (fault: Fault | undefined) => (fault ? { [fault.path]: fault.message } : {});

/** To the first field at fault, wherever on a long page it is. */
const focusFault = (form: HTMLFormElement | null): void =>
  form?.querySelector<HTMLElement>('.faulty :is(input, select, textarea, button)')?.focus();
