import { useEffect, useEffectEvent, useState } from 'react';
import { useClient, type OperationResult, type TypedDocumentNode } from 'urql';
import { connections } from './connections';
import { problemOf } from './problem';
import { useAskAgain } from './use-ask-again';

const AGAIN_AFTER_MS = 1_000;

/**
 * Calls `onData` for every value of a subscription, also of those that arrive between two renderings. One that ends
 * because the server lacks its database is begun anew, again and again.
 */
export function useEach<T, V extends Record<string, string>>(
  subscription: TypedDocumentNode<T, V>,
  variables: V,
  onData: (data: T) => void,
): void {
  const client = useClient();
  const [attempt, setAttempt] = useState(1);
  const askAgain = useAskAgain(() => {
    setAttempt(attempt + 1);
    // What changed meanwhile nobody told.
    connections.dispatchEvent(new Event('connected'));
  }, AGAIN_AFTER_MS);
  const handle = useEffectEvent(({ data, error }: OperationResult<T, V>) => {
    if (problemOf(error)?.code === 'SERVICE_UNAVAILABLE') askAgain();
    else if (data != null) onData(data);
  });
  const key = JSON.stringify(variables);
  useEffect(() => {
    const listening = client.subscription(subscription, JSON.parse(key) as V).subscribe(handle);
    return () => listening.unsubscribe();
  }, [client, subscription, key, attempt]);
}
