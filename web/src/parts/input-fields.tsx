import { useId, useState, type ReactNode } from 'react';
import { fieldsOf, isNumber, lengthOf, type Entries, type InputField } from './input-entries';

/** What every field of a form needs. */
export interface FieldContext {
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

export function AnyField({ field, path, context }: FieldProps) {
  if (!field.isInput) return <PlainField field={field} path={path} context={context} />;
  if (field.isList) return <ListField field={field} path={path} context={context} />;
  return (
    <FieldGroup className="nested" title={words(field.name)} hint={field.description} fault={context.faults[path]}>
      <InnerFields of={field} path={path} context={context} />
    </FieldGroup>
  );
}

function InnerFields({ of, path, context }: { of: InputField; path: string; context: FieldContext }) {
  return (
    <div className={gridOf(of)}>
      {inOrder(fieldsOf(of.type), context.first).map((inner) => (
        <AnyField key={inner.name} field={inner} path={`${path}.${inner.name}`} context={context} />
      ))}
    </div>
  );
}

/** Fields that belong together, and what is wrong with them together. */
function FieldGroup({ className, title, hint, fault, children }: {
  className: 'nested' | 'item';
  title: string;
  hint?: string | undefined;
  fault: string | undefined;
  children: ReactNode;
}) { // prettier-ignore
  const id = useId();
  return (
    <fieldset className={fault ? `${className} faulty` : className} aria-describedby={describedBy(id, hint, fault)}>
      <legend>{title}</legend>
      {hint && <p id={`${id}-hint`} className="hint">{hint}</p>}
      {fault && <p id={`${id}-fault`} className="fault">{fault}</p>}
      {children}
    </fieldset>
  );
}

function ListField({ field, path, context }: FieldProps) {
  const [added, setAdded] = useState(0);
  const { entries, faults, clear } = context;
  const length = Math.max(added, lengthOf(entries, path));
  const one = words(field.name).replace(/s$/, '');
  function removeLast() {
    setAdded(length - 1);
    clear(`${path}.${length - 1}`);
  }
  return (
    <FieldGroup className="nested" title={words(field.name)} hint={field.description} fault={faults[path]}>
      {Array.from({ length }, (_, item) => `${path}.${item}`).map((at, item) => (
        <FieldGroup key={at} className="item" title={`${one} ${item + 1}`} fault={faults[at]}>
          <InnerFields of={field} path={at} context={context} />
        </FieldGroup>
      ))}
      <div className="actions">
        <button type="button" onClick={() => setAdded(length + 1)}>Add a {one}</button>
        {length > 0 && (
          <button type="button" className="quiet" onClick={removeLast}>Remove {one} {length}</button>
        )}
      </div>
    </FieldGroup>
  );
}

function PlainField({ field, path, context }: FieldProps) {
  const id = useId();
  const { entries, set, choices, faults } = context;
  const fault = faults[path];
  const common = {
    id,
    name: path,
    value: entries[path] ?? '',
    'aria-describedby': describedBy(id, field.description, fault),
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
export function inOrder(fields: readonly InputField[], first: readonly string[]): readonly InputField[] {
  const place = ({ name }: InputField) => (first.includes(name) ? first.indexOf(name) : first.length);
  return fields.toSorted((a, b) => place(a) - place(b));
}

/** Ids of what stands beside a field or a group. */
const describedBy = (id: string, hint: string | undefined, fault: string | undefined): string | undefined =>
  [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(' ') || undefined;

const isTexts = ({ isList, type }: InputField) => isList && type === 'String';

/** Up to three short fields stand on one line. */
const gridOf = ({ type }: InputField) => (fieldsOf(type).length > 3 ? 'fields' : 'fields few');
/** learningRate → learning rate */
const words = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
