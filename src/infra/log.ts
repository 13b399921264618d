import { pino, type Logger } from 'pino';

export type { Logger };

/** JSON lines on stdout; written synchronously, so that the last words of a dying process are read. */
export function createLogger(level: string, bindings: Record<string, unknown> = {}): Logger {
  const redact = ['authorization', '*.authorization', '*.secret'];
  const options = { level, base: bindings, redact, timestamp: pino.stdTimeFunctions.isoTime };
  return pino(options, pino.destination({ fd: 1, sync: true }));
}
