import { useEffect, useRef, type RefObject } from 'react';
import { useLocation, useNavigationType } from 'react-router';

/** Another page begins at its top and has the focus, as if the browser had loaded it. @returns what gets the focus */
export function useArrival(): RefObject<HTMLElement | null> {
  const { pathname } = useLocation();
  const navigation = useNavigationType();
  const content = useRef<HTMLElement>(null);
  const shown = useRef(pathname);
  useEffect(() => {
    if (shown.current === pathname) return;
    shown.current = pathname;
    // Back and forth, the browser knows where one was.
    if (navigation !== 'POP') scrollTo(0, 0);
    content.current?.focus({ preventScroll: true });
  }, [pathname, navigation]);
  return content;
}
