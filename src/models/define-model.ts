import { normaliseNetwork, type NetworkInput } from '../domain/network/normalise.js';
import { badInput, conflict } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { Model, Prisma } from '../infra/prisma/client.js';

export interface DefineModelInput extends Omit<NetworkInput, 'numClasses'> {
  readonly name: string;
  readonly classNames: readonly string[];
  readonly description?: string | null;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const MIN_CLASSES = 2;
const MAX_CLASSES = 10_000;
const MAX_CLASS_NAME_LENGTH = 200;
const MAX_DESCRIPTION_LENGTH = 2_000;

/**
 * Stores a network under a name, as its full normalised definition.
 * @throws BAD_USER_INPUT with the field, CONFLICT where the name is taken
 */
export async function defineModel({ database }: { database: Database }, input: DefineModelInput): Promise<Model> {
  checkName(input.name);
  checkClassNames(input.classNames);
  if ((input.description ?? '').length > MAX_DESCRIPTION_LENGTH)
    throw badInput('input.description', `a description has at most ${MAX_DESCRIPTION_LENGTH} characters`);
  const definition = normaliseNetwork({ ...input, numClasses: input.classNames.length });

  const row = {
    name: input.name,
    description: input.description ?? null,
    preset: definition.preset,
    definition: definition as unknown as Prisma.InputJsonObject,
    ...definition.inputShape,
    classNames: [...input.classNames],
  };
  // Rather than look first: of two requests at once, one must lose.
  const [model] = await database.model.createManyAndReturn({ data: [row], skipDuplicates: true });
  if (model === undefined) throw conflict(`there is a model named ${input.name} already`, 'input.name');
  return model;
}

function checkName(name: string): void {
  if (!NAME.test(name))
    throw badInput(
      'input.name',
      'a name is 1 to 63 of a-z, 0-9, dot, underscore and hyphen, and begins with a letter or digit',
    );
}

function checkClassNames(classNames: readonly string[]): void {
  const field = 'input.classNames';
  if (classNames.length < MIN_CLASSES || classNames.length > MAX_CLASSES)
    throw badInput(field, `a model has ${MIN_CLASSES} to ${MAX_CLASSES} classes, not ${classNames.length}`);
  const seen = new Set<string>();
  classNames.forEach((className, index) => {
    if (className.trim() === '' || className.length > MAX_CLASS_NAME_LENGTH)
      throw badInput(`${field}.${index}`, `a class name has 1 to ${MAX_CLASS_NAME_LENGTH} characters`);
    if (seen.has(className)) throw badInput(`${field}.${index}`, `the class name ${className} is there twice`);
    seen.add(className);
  });
}
