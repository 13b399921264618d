/** Why a data set is INVALID, as its validation tells it. */
export function Problems({ of }: { of: readonly string[] }) {
  return (
    <div className="problem">
      <h2>What is wrong with it</h2>
      <ul>
        {of.map((problem, index) => <li key={index}>{problem}</li>)}
      </ul>
    </div>
  );
}
