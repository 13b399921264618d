import { useEffect, useEffectEvent, useRef, useState, type UIEvent } from 'react';
import { useClient } from 'urql';
import { problemOf, type Problem } from '../../api/problem';
import { graphql } from '../../gql';
import type { RunLogsQuery } from '../../gql/graphql';
import { count } from '../../parts/figures';
import { ProblemNote } from '../../parts/problem-note';
import { Wide } from '../../parts/wide';

const LOGS = graphql(`
  query RunLogs($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
    run(id: $id) {
      id
      logs(first: $first, after: $after, last: $last, before: $before) {
        edges { cursor node { at level message } }
        pageInfo { hasNextPage hasPreviousPage }
      }
    }
  }
`);

type Line = NonNullable<RunLogsQuery['run']>['logs']['edges'][number];
const PAGE_SIZE = 50;

/**
 * The newest lines, older ones on request.
 * @param total how many there are by now: more of them are read when it grows
 */
export function Logs({ id, total }: { id: string; total: number }) {
  const { lines, hasOlder, problem, readNewer, readOlder } = useLines(id);
  const box = useRef<HTMLDivElement>(null);
  const newest = lines.at(-1)?.cursor;
  const follow = useEffectEvent(() => void readNewer());
  useEffect(() => follow(), [total]);
  const atEnd = useRef(true);
  const scrolled = ({ target }: UIEvent) => void (atEnd.current = isAtEnd(target as Element));
  useEffect(() => {
    // Like a terminal: the newest line is in sight, unless one went back to another.
    const lines = box.current?.querySelector('.wide');
    if (atEnd.current) lines?.scrollTo({ top: lines.scrollHeight });
  }, [newest]);
  return (
    <section className="card" ref={box} onScrollCapture={scrolled}>
      <h2>
        Logs <span className="hint">{count(lines.length)} of {count(Math.max(total, lines.length))} lines</span>
      </h2>
      <ProblemNote problem={problem} />
      {hasOlder && <button type="button" onClick={() => void readOlder()}>Older lines</button>}
      <Wide label="Logs" tall>
        <ol className="logs">
          {lines.map(({ cursor, node: { at, level, message } }) => (
            <li key={cursor} className={`log-${level}`}>
              <time dateTime={at}>{new Date(at).toLocaleTimeString('en-GB')}</time>{' '}
              {level !== 'info' && <strong>{level}</strong>} {message}
            </li>
          ))}
        </ol>
      </Wide>
    </section>
  );
}

const isAtEnd = ({ scrollTop, scrollHeight, clientHeight }: Element) => scrollHeight - scrollTop - clientHeight < 20;

/** Lines without a gap: newer and older pages begin at the ends of what is there. */
function useLines(id: string) {
  const client = useClient();
  const [lines, setLines] = useState<readonly Line[]>([]);
  const [hasOlder, setHasOlder] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  /** What `lines` will be: pages that come between two renderings would else begin at the same end, twice. */
  const held = useRef(lines);
  /** One page at a time; what is written meanwhile is read after it. */
  const reading = useRef(false);
  const wanted = useRef(false);

  async function read(page: { first?: number; after?: string; last?: number; before?: string }) {
    const { data, error } = await client.query(LOGS, { id, ...page }, { requestPolicy: 'network-only' });
    setProblem(problemOf(error));
    return data?.run?.logs;
  }
  function hold(next: readonly Line[]) {
    held.current = next;
    setLines(next);
  }
  async function readNewer() {
    wanted.current = true;
    if (reading.current) return;
    reading.current = true;
    while (wanted.current) {
      wanted.current = false;
      const end = held.current.at(-1)?.cursor;
      const logs = await read(end === undefined ? { last: PAGE_SIZE } : { first: PAGE_SIZE, after: end });
      if (!logs) break;
      if (end === undefined) setHasOlder(logs.pageInfo.hasPreviousPage);
      hold([...held.current, ...logs.edges]);
      wanted.current ||= logs.pageInfo.hasNextPage;
    }
    reading.current = false;
  }
  async function readOlder() {
    const begin = held.current[0]!.cursor;
    const logs = await read({ last: PAGE_SIZE, before: begin });
    // Asked for twice, the same page comes twice.
    if (!logs || held.current[0]!.cursor !== begin) return;
    hold([...logs.edges, ...held.current]);
    setHasOlder(logs.pageInfo.hasPreviousPage);
  }
  return { lines, hasOlder, problem, readNewer, readOlder };
}
