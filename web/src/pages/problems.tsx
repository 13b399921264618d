/** Why a data set is INVALID, as its validation tells it. */
export function Problems({ of }: { of: readonly string[] }) {
  return (
    <div className="problem">
      <h3>What is wrong with it</h3>
      <ul>
        {of.map((problem, index) => <li key={index}>{problem}</li>)}
      </ul>
    </div>
  );
}
