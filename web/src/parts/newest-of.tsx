/** Says that a list goes on, where it does. */
export function NewestOf({ all }: { all: { readonly totalCount: number; readonly nodes: readonly unknown[] } }) {
  const { totalCount, nodes } = all;
  return totalCount > nodes.length ? <p className="hint">The newest {nodes.length} of {totalCount}.</p> : null;
}
