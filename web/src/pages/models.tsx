import { Page } from '../parts/page';

export function Models() {
  return <Page title="Models">{null}</Page>;
}
