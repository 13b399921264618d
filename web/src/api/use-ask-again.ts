import { useEffect, useEffectEvent, useRef } from 'react';

/** A function that calls `ask` a moment later, once for all its calls until then. */
export function useAskAgain(ask: () => void, afterMs: number): () => void {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const handle = useEffectEvent(ask);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
  return () => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      handle();
    }, afterMs);
  };
}
