import { checkClassNames, checkDescription, checkName } from '../domain/names.js';
import { normaliseNetwork, type NetworkInput } from '../domain/network/normalise.js';
import { conflict } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { Model, Prisma } from '../infra/prisma/client.js';

export interface DefineModelInput extends Omit<NetworkInput, 'numClasses'> {
  readonly name: string;
  readonly classNames: readonly string[];
  readonly description?: string | null;
}

/**
 * Stores a network under a name, as its full normalised definition.
 * @throws BAD_USER_INPUT with the field, CONFLICT where the name is taken
 */
export async function defineModel({ database }: { database: Database }, input: DefineModelInput): Promise<Model> {
  checkName(input.name, 'input.name');
  checkClassNames(input.classNames, 'input.classNames');
  checkDescription(input.description ?? '', 'input.description');
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
