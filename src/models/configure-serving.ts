import { checkServingSettings, type ServingSettings, type ServingSettingsInput } from '../domain/serving-settings.js';
import { notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { Model } from '../infra/prisma/client.js';

/**
 * Sets how requests for a model are batched; what is left out stays. Every API process goes by it within 2 s.
 * @throws BAD_USER_INPUT with the field, NOT_FOUND
 */
export async function configureServing(
  { database }: { database: Database },
  name: string,
  input: ServingSettingsInput,
): Promise<ServingSettings> {
  const data = checkServingSettings(input, 'input');
  const [model] = await database.model.updateManyAndReturn({ where: { name }, data });
  if (model === undefined) throw notFound(`there is no model named ${name}`, 'model');
  return servingSettings(model);
}

export const servingSettings = ({ maxBatch, maxDelayMs, maxQueue }: Model): ServingSettings => ({
  maxBatch,
  maxDelayMs,
  maxQueue,
});
