import { Component, type ReactNode } from 'react';
import { Page } from './page';

/** A page that cannot be shown says so and why, where there would be an empty window. */
export class PageBoundary extends Component<{ children: ReactNode }, { fault?: Error }> {
  override state: { fault?: Error } = {};

  static getDerivedStateFromError(fault: Error) {
    return { fault };
  }

  override render() {
    const { fault } = this.state;
    if (!fault) return this.props.children;
    return (
      <Page title="This page cannot be shown">
        <p role="alert" className="problem">{fault.message}</p>
        <p>Its script is fetched when it is first opened, for which the server has to answer.</p>
        <button type="button" className="primary" onClick={() => location.reload()}>Load it again</button>
      </Page>
    );
  }
}
