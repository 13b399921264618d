import { useEffect, useEffectEvent } from 'react';

/** Tells of each connection that subscriptions get, the first one as well. */
export const connections = new EventTarget();

/** Calls `onConnect` whenever subscriptions begin to arrive: what changed before that, nobody told. */
export function useConnect(onConnect: () => void): void {
  const handle = useEffectEvent(onConnect);
  useEffect(() => {
    const listen = () => handle();
    connections.addEventListener('connected', listen);
    return () => connections.removeEventListener('connected', listen);
  }, []);
}
