import pg from 'pg';

/**
 * pg's client waits for ever for a server that takes a query and never answers: a frozen machine, a full disk, a
 * network that swallows. Its own `query_timeout` cannot tell that from a query that takes long, and leaves the
 * connection in the pool with the query and the transaction still open (node-postgres issue 3399). This one asks the
 * server by another connection whether it is there, and gives the connection up, and with it the transaction, if not.
 */

/** After a silence this long the server is asked, again and again … */
const SILENT_MS = 2_000;
/** … and has this long to let a new connection in. */
const PROBE_MS = 2_500;
/** A server that lives but has not answered by then has forgotten the query, or it will not be waited for. */
const LONGEST_MS = 120_000;

/**
 * The class of a pool's clients for one server.
 * @param isThere whether the server answers a new connection; never rejects
 */
export function impatientClient(
  isThere: () => Promise<boolean>,
  { silentMs = SILENT_MS, longestMs = LONGEST_MS } = {},
) {
  return class ImpatientClient extends pg.Client {
    override query(...question: unknown[]): never {
      const silence = this.watch();
      const ask = super.query.bind(this) as (...question: unknown[]) => unknown;
      const callback = question.at(-1);
      if (typeof callback === 'function') {
        const told = (...answer: unknown[]) => {
          silence.over();
          callback(...answer);
        };
        return ask(...question.slice(0, -1), told) as never;
      }
      const answer = ask(...question) as Promise<unknown>;
      answer.then(silence.over, silence.over);
      return answer as never;
    }

    private watch(): { over: () => void } {
      const since = performance.now();
      let timer: NodeJS.Timeout;
      let over = false;
      const look = async () => {
        const there = performance.now() - since < longestMs && (await isThere());
        if (over) return;
        if (there) timer = setTimeout(look, silentMs);
        else this.connection.stream.destroy(new Error('Connection terminated: the database has not answered a query'));
      };
      timer = setTimeout(look, silentMs);
      return {
        over: () => {
          over = true;
          clearTimeout(timer);
        },
      };
    }
  };
}

/** Asks one server, once however many want to know. */
export function serverProbe(url: string): () => Promise<boolean> {
  let asking: Promise<boolean> | undefined;
  return () => (asking ??= letsIn(url).finally(() => (asking = undefined)));
}

async function letsIn(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: PROBE_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    void client.end();
    return true;
  } catch (error) {
    // It says itself that it has no room, or no longer knows us: it is there.
    return 'severity' in (error as object);
  }
}
