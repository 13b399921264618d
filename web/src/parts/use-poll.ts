import { useEffect, useEffectEvent } from 'react';

/** Calls `ask` again and again while it is wanted and somebody looks at the page. */
export function usePoll(ask: () => void, everyMs: number, wanted = true): void {
  const tick = useEffectEvent(() => {
    if (document.visibilityState === 'visible') ask();
  });
  useEffect(() => {
    if (!wanted) return;
    const timer = setInterval(tick, everyMs);
    document.addEventListener('visibilitychange', tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', tick);
    };
  }, [everyMs, wanted]);
}
