import { Wide } from '../../parts/wide';

/** The whole of what the run was started with, its defaults filled in. */
export function Config({ config }: { config: unknown }) {
  return (
    <details className="card">
      <summary>Settings</summary>
      <Wide label="Settings">
        <table>
          <thead>
            <tr><th scope="col">Setting</th><th scope="col">Value</th></tr>
          </thead>
          <tbody>
            {settingsOf(config).map(([path, value]) => (
              <tr key={path}>
                <th scope="row">{path}</th>
                <td>{showSetting(value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </details>
  );
}

/** By dotted path; a list is one value. */
export function settingsOf(value: unknown, path = ''): [path: string, value: unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path, value]];
  return Object.entries(value).flatMap(([name, inner]) => settingsOf(inner, path === '' ? name : `${path}.${name}`));
}

export const showSetting = (value: unknown): string =>
  value == null ? '–' : Array.isArray(value) ? value.map(showSetting).join(', ') || '–' : String(value);

export function epochsOf(config: unknown): number | undefined {
  const epochs = settingsOf(config).find(([path]) => path === 'epochs')?.[1];
  return typeof epochs === 'number' ? epochs : undefined;
}
