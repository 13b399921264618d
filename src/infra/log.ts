import { pino, type Logger } from 'pino';

export type { Logger };

/** JSON lines on stdout; written synchronously, so that the last words of a dying process are read. */
export function createLogger(level: string, bindings: Record<string, unknown> = {}): Logger {
  return pino(
    { level, base: bindings, timestamp: pino.stdTimeFunctions.isoTime, redact: ['authorization', '*.authorization', '*.secret'] },
    pino.destination({ fd: 1, sync: true }),
  );
}
