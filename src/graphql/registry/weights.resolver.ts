import { Arg, Ctx, ID, Mutation, Resolver } from 'type-graphql';
import { importWeights } from '../../registry/import-weights.js';
import { createWeightsUpload } from '../../registry/weights-upload.js';
import { Requires } from '../access/authorise.js';
import type { Context } from '../context.js';
import { ModelVersionType } from './version.type.js';
import { WeightsUploadType } from './weights.type.js';

@Resolver()
export class WeightsResolver {
  @Requires('TRAINER')
  @Mutation(() => WeightsUploadType, {
    description:
      'Where to send a safetensors file of weights for the model. What is not imported within a day is gone.',
  })
  async createWeightsUpload(@Ctx() { services }: Context, @Arg('model', () => String) model: string) {
    return createWeightsUpload(services, model);
  }

  @Requires('TRAINER')
  @Mutation(() => ModelVersionType, {
    description:
      "Makes an uploaded safetensors file the model's next version; tensors by torchvision's, timm's or Hugging Face " +
      "transformers' names, in float32, float16 or bfloat16.",
  })
  async importWeights(
    @Ctx() { services }: Context,
    @Arg('model', () => String) model: string,
    @Arg('safetensors', () => ID, { description: 'The id of a WeightsUpload.' }) safetensors: string,
  ) {
    return importWeights(services, model, safetensors);
  }
}
