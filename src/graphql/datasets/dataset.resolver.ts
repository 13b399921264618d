import { Arg, Args, Ctx, FieldResolver, Float, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql';
import { completeDataset } from '../../datasets/complete-dataset.js';
import { createDataset } from '../../datasets/create-dataset.js';
import { deleteDataset } from '../../datasets/delete-dataset.js';
import { findDataset, listDatasets } from '../../datasets/find-dataset.js';
import { sampleDataset } from '../../datasets/sample-dataset.js';
import type { Dataset } from '../../infra/prisma/client.js';
import { Requires } from '../access/authorise.js';
import { ConnectionArguments, pageArguments, toConnection } from '../connection.js';
import type { Context } from '../context.js';
import { ImageShapeType } from '../models/model.type.js';
import { CreateDatasetInput } from './dataset.input.js';
import {
  DatasetConnection,
  DatasetType,
  DatasetUploadType,
  SampleType,
  SplitEnum,
  type Split,
} from './dataset.type.js';

@Resolver(() => DatasetType)
export class DatasetResolver {
  @Requires('VIEWER')
  @Query(() => DatasetType, { nullable: true, description: 'Its latest version if none is named.' })
  async dataset(
    @Ctx() { services }: Context,
    @Arg('name', () => String) name: string,
    @Arg('version', () => Int, { nullable: true }) version?: number | null,
  ) {
    return findDataset(services, name, version);
  }

  @Requires('VIEWER')
  @Query(() => DatasetConnection, { description: 'The newest first.' })
  async datasets(@Ctx() { services }: Context, @Args(() => ConnectionArguments) page: ConnectionArguments) {
    return toConnection(await listDatasets(services, pageArguments(page)));
  }

  @Requires('TRAINER')
  @Mutation(() => DatasetUploadType, {
    description: 'Answers with an upload target for each name that a file of the format may have.',
  })
  async createDataset(@Ctx() { services }: Context, @Arg('input', () => CreateDatasetInput) input: CreateDatasetInput) {
    return createDataset(services, input);
  }

  @Requires('TRAINER')
  @Mutation(() => DatasetType, { description: 'Begins to validate what was uploaded.' })
  async completeDataset(@Ctx() { services }: Context, @Arg('id', () => ID) id: string) {
    return completeDataset(services, id);
  }

  @Requires('TRAINER')
  @Mutation(() => Boolean, { description: 'Refused where a run was trained on it, for as long as that run is there.' })
  async deleteDataset(
    @Ctx() { services }: Context,
    @Arg('name', () => String) name: string,
    @Arg('version', () => Int) version: number,
  ) {
    return deleteDataset(services, name, version);
  }

  @FieldResolver(() => ImageShapeType, { nullable: true })
  imageShape(@Root() dataset: Dataset) {
    return dataset.height === null ? null : dataset;
  }

  @FieldResolver(() => Int)
  size(@Root() dataset: Dataset, @Arg('split', () => SplitEnum) split: Split) {
    return split === 'TRAIN' ? dataset.trainSize : dataset.testSize;
  }

  @FieldResolver(() => [Int], { description: 'By label.' })
  classCounts(@Root() dataset: Dataset, @Arg('split', () => SplitEnum) split: Split) {
    return split === 'TRAIN' ? dataset.trainCounts : dataset.testCounts;
  }

  @FieldResolver(() => [Float], { nullable: true, description: 'By channel, of TRAIN pixels scaled to 0 to 1.' })
  channelMean(@Root() { status, channelMean }: Dataset) {
    return status === 'READY' ? channelMean : null;
  }

  @FieldResolver(() => [Float], { nullable: true, description: 'By channel, of TRAIN pixels scaled to 0 to 1.' })
  channelStd(@Root() { status, channelStd }: Dataset) {
    return status === 'READY' ? channelStd : null;
  }

  @FieldResolver(() => [SampleType], { description: 'Drawn without repetition; the same seed gives the same images.' })
  async samples(
    @Ctx() { services }: Context,
    @Root() dataset: Dataset,
    @Arg('split', () => SplitEnum) split: Split,
    @Arg('first', () => Int, { defaultValue: 10 }) first: number,
    @Arg('seed', () => Int, { nullable: true }) seed?: number | null,
  ) {
    return sampleDataset(services, dataset, { split, first, seed: seed ?? 0 });
  }
}
