import { inject } from 'vitest';
import { freshName } from './databases.js';

/** What connectRedis, JobQueue and the event bus take, with a prefix that no other test has. */
export function freshRedis(): { url: string; prefix: string } {
  return { url: inject('servers').redisUrl, prefix: freshRedisPrefix() };
}

export const freshRedisPrefix = () => freshName('test-');
