import { Page } from '../parts/page';

export function Dataset() {
  return <Page title="Dataset">{null}</Page>;
}
