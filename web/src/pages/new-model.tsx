import { Page } from '../parts/page';

export function NewModel() {
  return <Page title="NewModel">{null}</Page>;
}
