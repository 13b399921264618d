import { Page } from '../parts/page';

export function NewRun() {
  return <Page title="NewRun">{null}</Page>;
}
