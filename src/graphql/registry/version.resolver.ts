import { Arg, Ctx, FieldResolver, Int, Mutation, Resolver, Root } from 'type-graphql';
import type { ModelVersion } from '../../infra/prisma/client.js';
import { deleteVersion } from '../../registry/delete-version.js';
import { Requires } from '../access/authorise.js';
import type { Context } from '../context.js';
import type { NamedArtifact } from '../loaders.js';
import { ModelType } from '../models/model.type.js';
import { evaluationOn } from '../training/evaluation.resolver.js';
import { EvaluationType } from '../training/evaluation.type.js';
import { TrainingRunType } from '../training/run.type.js';
import { ArtifactType, ModelVersionType } from './version.type.js';

const DOWNLOAD_SECONDS = 15 * 60;
const FILE_ENDINGS = { ONNX: 'onnx', ONNX_INT8: 'int8.onnx', SAFETENSORS: 'safetensors', TFJS: 'tfjs.zip' } as const;

@Resolver(() => ModelVersionType)
export class VersionResolver {
  @Requires('TRAINER')
  @Mutation(() => Boolean, {
    description:
      'Refused while an alias points at it or a run that has not ended starts from it. Its number is not given again.',
  })
  async deleteVersion(
    @Ctx() { services }: Context,
    @Arg('model', () => String) model: string,
    @Arg('version', () => Int) version: number,
  ) {
    return deleteVersion(services, model, version);
  }

  @FieldResolver(() => ModelType)
  model(@Root() version: ModelVersion, @Ctx() { loaders }: Context) {
    return loaders.model.load(version.modelId);
  }

  @FieldResolver(() => TrainingRunType, { nullable: true })
  run(@Root() { runId }: ModelVersion, @Ctx() { loaders }: Context) {
    return runId === null ? null : loaders.run.load(runId);
  }

  @FieldResolver(() => EvaluationType, { nullable: true })
  evaluation(@Root() { evaluation, runId }: ModelVersion, @Ctx() { loaders }: Context) {
    return evaluationOn(evaluation, async () => {
      const run = runId === null ? null : await loaders.run.load(runId);
      return run && loaders.dataset.load(run.datasetId);
    });
  }

  @FieldResolver(() => [String], { description: 'Names of those that point at it.' })
  async aliases(@Root() version: ModelVersion, @Ctx() { loaders }: Context) {
    return (await loaders.aliasesOfVersion.load(version.id)).map(({ name }) => name);
  }

  @FieldResolver(() => [ArtifactType], {
    description:
      "ONNX; ONNX_INT8 once it is quantised; SAFETENSORS by torchvision's names and layouts; TFJS, a .zip of " +
      'model.json and weights.bin for tf.loadLayersModel, where layers of TensorFlow.js can express the network.',
  })
  artifacts(@Root() version: ModelVersion, @Ctx() { loaders }: Context) {
    return loaders.artifacts.load(version.id);
  }

  @FieldResolver(() => Boolean, { description: "In this server's memory now." })
  cached(@Root() version: ModelVersion, @Ctx() { services }: Context) {
    return services.predictor.isCached(version.id);
  }
}

@Resolver(() => ArtifactType)
export class ArtifactResolver {
  @FieldResolver(() => String, { description: 'Presigned: works without a key for 15 minutes.' })
  async downloadUrl(@Root() artifact: NamedArtifact, @Ctx() { services }: Context) {
    return services.objects.presignDownload(artifact.sha256, fileName(artifact), DOWNLOAD_SECONDS);
  }
}

const fileName = ({ kind, version: { model, version } }: NamedArtifact) =>
  `${model.name}-${version}.${FILE_ENDINGS[kind]}`;
