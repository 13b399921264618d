import { Ctx, FieldResolver, Resolver, Root } from 'type-graphql';
import { drawSamples } from '../../datasets/sample-dataset.js';
import type { Evaluation, Mistake } from '../../domain/evaluation.js';
import type { Dataset } from '../../infra/prisma/client.js';
import type { Context } from '../context.js';
import { Byte } from '../scalars.js';
import { EvaluationType, MistakeType } from './evaluation.type.js';

/** As it is stored, which before mistakes were kept was without them. */
type StoredEvaluation = Omit<Evaluation, 'mistakes'> & Partial<Pick<Evaluation, 'mistakes'>>;

/** An evaluation, and what it was done on, which only pictures of its images take. */
export type EvaluationOn = StoredEvaluation & { readonly dataset: () => Promise<Dataset | null> };

interface ShownMistake extends Mistake {
  readonly className: string;
  readonly predictedClassName: string;
  readonly png: () => Promise<Uint8Array | undefined>;
}

/** @param evaluation of a row */
export function evaluationOn(evaluation: unknown, dataset: EvaluationOn['dataset']): EvaluationOn | null {
  return evaluation == null ? null : { ...(evaluation as StoredEvaluation), dataset };
}

@Resolver(() => EvaluationType)
export class EvaluationResolver {
  @FieldResolver(() => [MistakeType], {
    nullable: true,
    description: 'The 25 most confident ones, the most confident first; null where it is older than they are.',
  })
  mistakes(@Root() evaluation: EvaluationOn, @Ctx() { services }: Context): ShownMistake[] | null {
    return evaluation.mistakes ? showMistakes(services, evaluation, evaluation.mistakes) : null;
  }
}

@Resolver(() => MistakeType)
export class MistakeResolver {
  @FieldResolver(() => Byte, { nullable: true, description: 'Null where the data set was deleted since.' })
  png(@Root() { png }: ShownMistake) {
    return png();
  }
}

/** The first picture that is asked for reads those of all. */
function showMistakes(
  services: Context['services'],
  { perClass, dataset }: EvaluationOn,
  mistakes: readonly Mistake[],
): ShownMistake[] {
  let pictures: Promise<Uint8Array[]> | undefined;
  const draw = async () => {
    const row = await dataset();
    const indices = mistakes.map(({ index }) => index);
    return row ? drawSamples(services, row, 'TEST', indices) : [];
  };
  return mistakes.map((mistake, place) => ({
    ...mistake,
    className: perClass[mistake.label]!.className,
    predictedClassName: perClass[mistake.predicted]!.className,
    png: async () => (await (pictures ??= draw()))[place],
  }));
}
