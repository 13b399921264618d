import { Page } from '../parts/page';

export function Model() {
  return <Page title="Model">{null}</Page>;
}
