import { Page } from '../parts/page';

export function Run() {
  return <Page title="Run">{null}</Page>;
}
