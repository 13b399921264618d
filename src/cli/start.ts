import { inForeground } from './foreground.js';

/** `npm start`: everything in the foreground; one line on stdout when it answers. */
await inForeground(async ({ url, key }) => {
  process.stdout.write(`ready ${JSON.stringify({ url, key })}\n`);
  return 'stay';
});
