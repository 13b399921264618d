import type { ReactNode } from 'react';

/** Scrolls by itself what is wider (or, `tall`, longer) than the page, with the keyboard too. */
export function Wide({ label, tall = false, children }: { label: string; tall?: boolean; children: ReactNode }) {
  return (
    <div className={tall ? 'wide tall' : 'wide'} role="region" aria-label={label} tabIndex={0}>
      {children}
    </div>
  );
}
