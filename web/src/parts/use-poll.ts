import { useEffect, useEffectEvent } from 'react';

/** Calls `ask` each `everyMs`, or at once and then each `everyMs`, while somebody looks at the page. */
export function usePoll(ask: () => void, everyMs: number, wanted: boolean | 'at once' = true): void {
  const tick = useEffectEvent(() => {
    if (document.visibilityState === 'visible') ask();
  });
  useEffect(() => {
    if (!wanted) return;
    if (wanted === 'at once') tick();
    const timer = setInterval(tick, everyMs);
    document.addEventListener('visibilitychange', tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', tick);
    };
  }, [everyMs, wanted]);
}
