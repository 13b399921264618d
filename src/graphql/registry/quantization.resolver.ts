import { Arg, Ctx, FieldResolver, Int, Mutation, Resolver, Root } from 'type-graphql';
import type { ModelVersion, Quantization } from '../../infra/prisma/client.js';
import { requestQuantization } from '../../quantization/request-quantization.js';
import { Requires } from '../access/authorise.js';
import type { Context } from '../context.js';
import { DatasetType } from '../datasets/dataset.type.js';
import { evaluationOn } from '../training/evaluation.resolver.js';
import { EvaluationType } from '../training/evaluation.type.js';
import { QuantizationType } from './quantization.type.js';
import { ArtifactType, ModelVersionType } from './version.type.js';

@Resolver(() => ModelVersionType)
export class QuantizedVersionResolver {
  @Requires('TRAINER')
  @Mutation(() => ModelVersionType, {
    description:
      "Asks for the version's network in eight bits; a worker makes it, and quantization tells how far that is. " +
      'Asked again it changes nothing, but tries once more what failed; with another data set it is a CONFLICT.',
  })
  async quantizeVersion(
    @Ctx() { services }: Context,
    @Arg('model', () => String) model: string,
    @Arg('version', () => Int) version: number,
    @Arg('dataset', () => String, {
      nullable: true,
      description: 'name or name@version, to calibrate and evaluate by; left out: what it was trained on.',
    })
    dataset?: string | null,
  ) {
    return requestQuantization(services, { model, version, dataset });
  }

  @FieldResolver(() => QuantizationType, { nullable: true, description: 'Null where it was not asked for.' })
  quantization(@Root() version: ModelVersion, @Ctx() { loaders }: Context) {
    return loaders.quantization.load(version.id);
  }
}

@Resolver(() => QuantizationType)
export class QuantizationResolver {
  @FieldResolver(() => DatasetType, { nullable: true, description: 'Null where it was deleted since.' })
  dataset(@Root() { datasetId }: Quantization, @Ctx() { loaders }: Context) {
    return datasetId === null ? null : loaders.dataset.load(datasetId);
  }

  @FieldResolver(() => EvaluationType, {
    nullable: true,
    description: "On the data set's TEST split, by the quantised network itself.",
  })
  evaluation(@Root() { evaluation, datasetId }: Quantization, @Ctx() { loaders }: Context) {
    return evaluationOn(evaluation, async () => (datasetId === null ? null : loaders.dataset.load(datasetId)));
  }

  @FieldResolver(() => ArtifactType, { nullable: true, description: 'Once it succeeded.' })
  async artifact(@Root() { versionId }: Quantization, @Ctx() { loaders }: Context) {
    return (await loaders.artifacts.load(versionId)).find(({ kind }) => kind === 'ONNX_INT8') ?? null;
  }
}
