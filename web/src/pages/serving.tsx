import { Page } from '../parts/page';

export function Serving() {
  return <Page title="Serving">{null}</Page>;
}
