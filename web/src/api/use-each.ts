import { useEffect, useEffectEvent } from 'react';
import { useClient, type TypedDocumentNode } from 'urql';

/** Calls `onData` for every value of a subscription, also of those that arrive between two renderings. */
export function useEach<T, V extends Record<string, string>>(
  subscription: TypedDocumentNode<T, V>,
  variables: V,
  onData: (data: T) => void,
): void {
  const client = useClient();
  const handle = useEffectEvent(onData);
  const key = JSON.stringify(variables);
  useEffect(() => {
    const listening = client
      .subscription(subscription, JSON.parse(key) as V)
      .subscribe(({ data }) => data != null && handle(data));
    return () => listening.unsubscribe();
  }, [client, subscription, key]);
}
