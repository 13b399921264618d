import { Page } from '../parts/page';

export function Predict() {
  return <Page title="Predict">{null}</Page>;
}
