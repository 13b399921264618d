import { useEffect, useEffectEvent, useState } from 'react';
import { useQuery } from 'urql';
import { useAskAgain } from '../../api/use-ask-again';
import { graphql } from '../../gql';
import type { EpochFragment } from '../../gql/graphql';

export type Epoch = EpochFragment;

const HISTORY = graphql(`
  query RunHistory($id: ID!) {
    run(id: $id) {
      id
      history { ...Epoch }
    }
  }
`);

const ASK_AGAIN_MS = 1_000;
const NONE: readonly Epoch[] = [];

/**
 * Every epoch of a run: read whole once, then continued by what its progress tells, since a long history is much to
 * send each second.
 * @param recent the last epochs, as they are by now
 */
export function useHistory(id: string, recent: readonly Epoch[]): readonly Epoch[] {
  const [{ data }, ask] = useQuery({ query: HISTORY, variables: { id }, requestPolicy: 'network-only' });
  const whole = data?.run?.history ?? NONE;
  const [state, setState] = useState({ whole: NONE, recent: NONE, epochs: NONE });
  if (state.whole !== whole || state.recent !== recent)
    setState({ whole, recent, epochs: merge(state.whole === whole ? state.epochs : whole, recent) });
  const { epochs } = state;
  const hasGap = epochs.length > 0 && epochs.length < epochs.at(-1)!.epoch;
  const fillGap = useEffectEvent(useAskAgain(() => ask({ requestPolicy: 'network-only' }), ASK_AGAIN_MS));
  useEffect(() => {
    if (hasGap) fillGap();
  }, [hasGap, recent]);
  return epochs;
}

/** What is newer replaces what there was of the same epoch. */
function merge(known: readonly Epoch[], recent: readonly Epoch[]): readonly Epoch[] {
  const [first, last] = [recent.at(0)?.epoch, recent.at(-1)?.epoch];
  if (first === undefined || last === undefined) return known;
  const [before, after] = [known.filter(({ epoch }) => epoch < first), known.filter(({ epoch }) => epoch > last)];
  return [...before, ...recent, ...after];
}
