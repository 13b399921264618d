import { badInput } from '../errors.js';

/**
 * What a sweep may vary: any field of StartTrainingInput, by its dotted path. The fields and their types are written
 * here as the schema writes them, and a test holds the two together.
 */
export const TRAINING_FIELDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  StartTrainingInput: {
    model: 'String!',
    dataset: 'String!',
    epochs: 'Int!',
    batchSize: 'Int!',
    optimizer: 'OptimizerInput',
    schedule: 'ScheduleInput',
    augmentation: 'AugmentationInput',
    labelSmoothing: 'Float',
    emaDecay: 'Float',
    earlyStopping: 'EarlyStoppingInput',
    validationFraction: 'Float!',
    engine: 'Engine!',
    precision: 'Precision!',
    seed: 'Int!',
    priority: 'Int!',
    initialWeights: 'String',
    checkpointEverySteps: 'Int',
    keepCheckpoints: 'Int!',
    quantize: 'Boolean!',
    tags: '[String!]',
    idempotencyKey: 'String',
  },
  OptimizerInput: {
    kind: 'OptimizerKind!',
    learningRate: 'Float!',
    momentum: 'Float',
    nesterov: 'Boolean',
    weightDecay: 'Float',
    beta1: 'Float',
    beta2: 'Float',
    epsilon: 'Float',
    clipNorm: 'Float',
  },
  ScheduleInput: {
    kind: 'ScheduleKind!',
    warmupEpochs: 'Float',
    milestones: '[Float!]',
    gamma: 'Float',
    finalLearningRate: 'Float',
  },
  AugmentationInput: {
    cropPadding: 'Int',
    horizontalFlip: 'Boolean',
    randomErasing: 'Float',
    randomResizedCrop: 'Boolean',
    mixup: 'Float',
    cutmix: 'Float',
  },
  EarlyStoppingInput: { metric: 'Metric!', patience: 'Int!', minDelta: 'Float!' },
};

export const TRAINING_ENUMS: Readonly<Record<string, readonly string[]>> = {
  OptimizerKind: ['SGD', 'ADAM', 'ADAMW'],
  ScheduleKind: ['CONSTANT', 'STEP', 'COSINE', 'ONE_CYCLE'],
  Engine: ['AUTO', 'ONEDNN', 'TFJS'],
  Precision: ['AUTO', 'FLOAT32', 'BFLOAT16'],
  Metric: ['TRAIN_LOSS', 'TRAIN_ACCURACY', 'VALIDATION_LOSS', 'VALIDATION_ACCURACY'],
};

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** What `startSweep` gives of one dimension of the search: `values`, or `min` and `max`. */
export interface ParameterInput {
  readonly path: string;
  readonly values?: readonly unknown[] | null | undefined;
  readonly min?: number | null | undefined;
  readonly max?: number | null | undefined;
  /** Evenly over the orders of magnitude. */
  readonly log?: boolean | null | undefined;
}

export type SearchParameter = ListParameter | RangeParameter;
export interface ListParameter {
  readonly path: string;
  readonly values: readonly JsonValue[];
}
/** Both ends belong to it. */
export interface RangeParameter {
  readonly path: string;
  readonly min: number;
  readonly max: number;
  readonly log: boolean;
  /** The field takes whole numbers only. */
  readonly whole: boolean;
}

/** What one trial changes of the base, by path. */
export type Assignment = Readonly<Record<string, JsonValue>>;

const MAX_PARAMETERS = 20;
const MAX_VALUES = 1_000;
const LARGEST_INT = 2 ** 31 - 1;

/**
 * Refuses what no training could take: unknown paths, values of another type, empty ranges. Whether a value of the
 * right type makes sense is for the training's own checks.
 * @throws BAD_USER_INPUT with the field
 */
export function normaliseParameters(given: readonly ParameterInput[], prefix: string): SearchParameter[] {
  if (given.length < 1 || given.length > MAX_PARAMETERS)
    throw badInput(prefix, `a sweep varies 1 to ${MAX_PARAMETERS} fields, not ${given.length}`);
  return given.map((parameter, index) => {
    const at = `${prefix}.${index}`;
    const type = typeOf(parameter.path, `${at}.path`);
    const other = given.slice(0, index).find(({ path }) => overlap(path, parameter.path));
    if (other !== undefined) throw badInput(`${at}.path`, `${other.path} is varied already`);
    return parameter.values == null ? rangeOf(parameter, type, at) : listOf(parameter, type, at);
  });
}

const overlap = (a: string, b: string) => `${a}.`.startsWith(`${b}.`) || `${b}.`.startsWith(`${a}.`);

/** The schema's type of the field that a path leads to. */
function typeOf(path: string, at: string): string {
  if (path === 'idempotencyKey')
    throw badInput(at, "idempotencyKey cannot be varied: the base's is the sweep's, and its trials have none");
  let type = 'StartTrainingInput';
  const walked: string[] = [];
  for (const name of path.split('.')) {
    const fields = own(TRAINING_FIELDS, bare(type));
    const next = fields && own(fields, name);
    if (next === undefined) throw badInput(at, unknownField(name, walked, fields));
    walked.push(name);
    type = next;
  }
  return type;
}

function unknownField(name: string, walked: readonly string[], fields: Readonly<Record<string, string>> | undefined) {
  const inside = walked.length === 0 ? 'StartTrainingInput' : walked.join('.');
  if (fields === undefined) return `${inside} has no fields of its own, so there is no ${inside}.${name}`;
  return `there is no field ${JSON.stringify(name)} in ${inside}, which has ${Object.keys(fields).join(', ')}`;
}

function listOf({ path, values, min, max, log }: ParameterInput, type: string, at: string): ListParameter {
  const list = values ?? [];
  if (min != null || max != null) throw badInput(`${at}.${min == null ? 'max' : 'min'}`, 'give values or a range');
  if (log) throw badInput(`${at}.log`, 'log belongs to a range from min to max');
  if (list.length < 1 || list.length > MAX_VALUES)
    throw badInput(`${at}.values`, `there are 1 to ${MAX_VALUES} values, not ${list.length}`);
  const seen = new Set<string>();
  list.forEach((value, index) => {
    checkType(value, type, `${at}.values.${index}`);
    const text = canonical(value as JsonValue);
    if (seen.has(text)) throw badInput(`${at}.values.${index}`, `${text} is in the list already`);
    seen.add(text);
  });
  return { path, values: list as JsonValue[] };
}

function rangeOf({ path, min, max, log }: ParameterInput, type: string, at: string): RangeParameter {
  if (min == null && max == null) throw badInput(`${at}.values`, `give the values of ${path}, or its min and max`);
  if (min == null) throw badInput(`${at}.min`, 'a range has a min and a max');
  if (max == null) throw badInput(`${at}.max`, 'a range has a min and a max');
  const whole = bare(type) === 'Int';
  if (!whole && bare(type) !== 'Float') throw badInput(`${at}.min`, `${path} is ${type}, which has no range: give values`);
  if (!Number.isFinite(min)) throw badInput(`${at}.min`, `must be a number, not ${min}`);
  if (!Number.isFinite(max) || max <= min) throw badInput(`${at}.max`, `must be above the min of ${min}, not ${max}`);
  if (log && min <= 0) throw badInput(`${at}.min`, `must be above 0 for a range by orders of magnitude, not ${min}`);
  if (whole && (Math.ceil(min) > Math.floor(max) || Math.max(-min, max) > LARGEST_INT))
    throw badInput(`${at}.max`, `there must be a whole number of 32 bits from ${min} to ${max}`);
  const [least, most] = whole ? [Math.ceil(min), Math.floor(max)] : [min, max];
  return { path, min: least, max: most, log: log ?? false, whole };
}

/** As GraphQL would take it in a variable. */
function checkType(value: unknown, type: string, at: string): void {
  if (value === null && !type.endsWith('!')) return;
  const fits = { Int: isInt, Float: Number.isFinite, String: isText, Boolean: isBoolean }[bare(type)];
  if (type.startsWith('[')) return checkList(value, type, at);
  if (fits === undefined) return checkNamed(value, bare(type), at);
  if (!fits(value)) throw badInput(at, `must be ${type}, not ${shown(value)}`);
}

function checkList(value: unknown, type: string, at: string): void {
  if (!Array.isArray(value)) throw badInput(at, `must be ${type}, not ${shown(value)}`);
  value.forEach((item, index) => checkType(item, type.slice(1, type.indexOf(']')), `${at}.${index}`));
}

/** An enum's member, or an input object. */
function checkNamed(value: unknown, type: string, at: string): void {
  const members = own(TRAINING_ENUMS, type);
  if (members !== undefined) {
    if (!members.includes(value as string)) throw badInput(at, `must be one of ${members.join(', ')}, not ${shown(value)}`);
    return;
  }
  const fields = own(TRAINING_FIELDS, type)!;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badInput(at, `must be ${type}, not ${shown(value)}`);
  for (const [name, inner] of Object.entries(value)) {
    const field = own(fields, name);
    if (field === undefined) throw badInput(at, unknownField(name, [type], fields));
    checkType(inner, field, `${at}.${name}`);
  }
}

const isInt = (value: unknown) =>
  Number.isInteger(value) && Math.abs(value as number) <= LARGEST_INT + Number((value as number) < 0);
const isText = (value: unknown) => typeof value === 'string';
const isBoolean = (value: unknown) => typeof value === 'boolean';

/** `[Float!]!` is a list of Float; `Int!` and `Int` are both Int. */
const bare = (type: string) => type.replace(/[[\]!]/g, '');
const shown = (value: unknown) => (JSON.stringify(value) ?? String(value)).slice(0, 100);

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** The same text for the same value, whatever the order of an object's keys. */
export function canonical(value: JsonValue): string {
  const ordered = (_: string, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner;
  return JSON.stringify(value, ordered);
}

/** `base` with the trial's values in place. What lies beside them in an object stays as it is. */
export function assign<T extends object>(base: T, assignment: Assignment): T {
  return Object.entries(assignment).reduce((input, [path, value]) => put(input, path.split('.'), value), base);
}

function put<T extends object>(target: T, [name, ...rest]: readonly string[], value: JsonValue): T {
  if (rest.length === 0) return { ...target, [name!]: value };
  const inner = (target as Record<string, unknown>)[name!];
  return { ...target, [name!]: put((inner ?? {}) as object, rest, value) };
}

/** `optimizer.learningRate 0.1, batchSize 64` */
export function describe(assignment: Assignment): string {
  return Object.entries(assignment).map(([path, value]) => `${path} ${shown(value)}`).join(', ');
}
