import { stayUp } from './foreground.js';

/** `npm start`: everything in the foreground; one line on stdout when it answers. */
await stayUp('ready ');
