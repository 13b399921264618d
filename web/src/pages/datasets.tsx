import { Page } from '../parts/page';

export function Datasets() {
  return <Page title="Datasets">{null}</Page>;
}
