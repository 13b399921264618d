import { Link } from 'react-router';
import { Page } from '../parts/page';

export function NotFound() {
  return (
    <Page title="No such page">
      <p>
        There is nothing at {location.pathname}. <Link to="/">All runs</Link>
      </p>
    </Page>
  );
}
