import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import type { Artifact, ModelVersion } from '../../infra/prisma/client.js';
import type { Context } from '../context.js';
import { ModelType } from '../models/model.type.js';
import { TrainingRunType } from '../training/run.type.js';
import { ArtifactType, ModelVersionType } from './version.type.js';

const DOWNLOAD_SECONDS = 15 * 60;
const FILE_ENDINGS = { ONNX: 'onnx', SAFETENSORS: 'safetensors', TFJS: 'tfjs.zip' } as const;

@Resolver(() => ModelVersionType)
export class VersionResolver {
  @FieldResolver(() => ModelType)
  model(@Root() version: ModelVersion, @Ctx() { loaders }: Context) {
    return loaders.model.load(version.modelId);
  }

  @FieldResolver(() => TrainingRunType, { nullable: true })
  run(@Root() { runId }: ModelVersion, @Ctx() { loaders }: Context) {
    return runId === null ? null : loaders.run.load(runId);
  }

  @FieldResolver(() => [ArtifactType], {
    description:
      "ONNX; SAFETENSORS by torchvision's names and layouts; TFJS, a .zip of model.json and weights.bin for " +
      'tf.loadLayersModel, where layers of TensorFlow.js can express the network.',
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
  async downloadUrl(@Root() { sha256, kind }: Artifact, @Ctx() { services }: Context) {
    return services.objects.presignDownload(sha256, `${sha256.slice(0, 12)}.${FILE_ENDINGS[kind]}`, DOWNLOAD_SECONDS);
  }
}
