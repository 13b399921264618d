import { ApiError, type ApiClient } from '../client.js';
import type { Artifact } from '../transfer.js';
import type { ImageShape } from './datasets.js';

/** What is asked of the API about models and their versions, as any client would. */

export interface DefineModelInput {
  readonly name: string;
  readonly preset?: string | undefined;
  readonly architecture?: unknown;
  readonly inputShape: ImageShape;
  readonly classNames: readonly string[];
  readonly description?: string | undefined;
}

export interface Layer {
  readonly name: string;
  readonly kind: string;
  readonly outputShape: readonly number[];
  readonly parameters: number;
  readonly flops: number;
}

export interface VersionSummary {
  readonly version: number;
  readonly createdAt: string;
  readonly aliases: readonly string[];
  readonly evaluation: { readonly accuracy: number; readonly loss: number } | null;
}

export interface ModelSummary {
  readonly name: string;
  readonly architecture: { readonly preset: string | null; readonly depth: number; readonly parameters: number };
  readonly inputShape: ImageShape;
  readonly classNames: readonly string[];
  readonly versions: { readonly nodes: readonly VersionSummary[] };
}

export interface Model extends ModelSummary {
  readonly description: string | null;
  readonly architecture: ModelSummary['architecture'] & {
    readonly flops: number;
    readonly activationBytes: number;
    readonly definition: unknown;
    readonly layers: readonly Layer[];
  };
}

const SHAPE = 'inputShape { height width channels }';
const VERSION = 'version createdAt aliases evaluation { accuracy loss }';
const MODEL = `name description ${SHAPE} classNames
  architecture {
    preset depth parameters flops activationBytes definition layers { name kind outputShape parameters flops }
  }
  versions(first: 20) { nodes { ${VERSION} } }`;

export async function defineModel(api: ApiClient, input: DefineModelInput): Promise<Model> {
  const mutation = `mutation ($input: DefineModelInput!) { defineModel(input: $input) { ${MODEL} } }`;
  return (await api.request<{ defineModel: Model }>(mutation, { input })).defineModel;
}

/** Defines the network, unless it was defined before. @returns whether it is new */
export async function provideModel(api: ApiClient, input: DefineModelInput): Promise<boolean> {
  try {
    await defineModel(api, input);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'CONFLICT') return false;
    throw error;
  }
}

export async function findModel(api: ApiClient, name: string): Promise<Model | null> {
  const query = `query ($name: String!) { model(name: $name) { ${MODEL} } }`;
  return (await api.request<{ model: Model | null }>(query, { name })).model;
}

/** The newest first, each with its newest version. */
export async function listModels(api: ApiClient, first: number, search?: string): Promise<readonly ModelSummary[]> {
  const query = `query ($first: Int, $search: String) {
    models(first: $first, search: $search) {
      nodes { name ${SHAPE} classNames architecture { preset depth parameters }
        versions(first: 1) { nodes { ${VERSION} } } }
    }
  }`;
  return (await api.request<{ models: { nodes: ModelSummary[] } }>(query, { first, search })).models.nodes;
}

export interface Alias {
  readonly name: string;
  readonly updatedAt: string;
  readonly version: { readonly version: number; readonly aliases: readonly string[] };
}

/** From now on `model@alias` means that version. */
export async function setAlias(api: ApiClient, model: string, alias: string, version: number): Promise<Alias> {
  const mutation = `mutation ($model: String!, $alias: String!, $version: Int!) {
    setAlias(model: $model, alias: $alias, version: $version) { name updatedAt version { version aliases } }
  }`;
  return (await api.request<{ setAlias: Alias }>(mutation, { model, alias, version })).setAlias;
}

export interface VersionArtifacts {
  readonly version: number;
  readonly artifacts: readonly Artifact[];
}

/** @param ref a number, latest or an alias; without one what `predict` takes: production if it is there, else latest */
export async function findVersion(api: ApiClient, model: string, ref?: string): Promise<VersionArtifacts | null> {
  const query = `query ($model: String!, $ref: String!) {
    model(name: $model) {
      version(ref: $ref) { version artifacts { kind bytes sha256 downloadUrl } }
      aliases { name }
    }
  }`;
  interface Answer {
    model: { version: VersionArtifacts | null; aliases: { name: string }[] } | null;
  }
  const { model: found } = await api.request<Answer>(query, { model, ref: ref ?? 'latest' });
  if (found === null) throw new Error(`there is no model ${model}`);
  const isProduction = ref === undefined && found.aliases.some(({ name }) => name === 'production');
  return isProduction ? findVersion(api, model, 'production') : found.version;
}
