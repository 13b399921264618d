import { lazy, Suspense } from 'react';
import { NavLink, Route, Routes, useLocation } from 'react-router';
import { KeyGate } from './parts/key-gate';
import { PageBoundary } from './parts/page-boundary';
import { useArrival } from './parts/use-arrival';
import { NotFound } from './pages/not-found';
import { Runs } from './pages/runs';

const Compare = lazy(() => import('./pages/compare').then(({ Compare }) => ({ default: Compare })));
const NewRun = lazy(() => import('./pages/new-run').then(({ NewRun }) => ({ default: NewRun })));
const Run = lazy(() => import('./pages/run').then(({ Run }) => ({ default: Run })));
const Models = lazy(() => import('./pages/models').then(({ Models }) => ({ default: Models })));
const NewModel = lazy(() => import('./pages/new-model').then(({ NewModel }) => ({ default: NewModel })));
const Model = lazy(() => import('./pages/model').then(({ Model }) => ({ default: Model })));
const Datasets = lazy(() => import('./pages/datasets').then(({ Datasets }) => ({ default: Datasets })));
const Dataset = lazy(() => import('./pages/dataset').then(({ Dataset }) => ({ default: Dataset })));
const Predict = lazy(() => import('./pages/predict').then(({ Predict }) => ({ default: Predict })));
const Serving = lazy(() => import('./pages/serving').then(({ Serving }) => ({ default: Serving })));

const PLACES = [
  ['/', 'Runs'],
  ['/models', 'Models'],
  ['/datasets', 'Data sets'],
  ['/predict', 'Predict'],
  ['/serving', 'Serving'],
] as const;

export function App() {
  return (
    <KeyGate>
      {(leave) => (
        <>
          <a className="skip" href="#content">Skip to content</a>
          <header className="bar">
            <span className="brand">residual</span>
            <nav aria-label="Pages">
              {PLACES.map(([to, name]) => (
                <NavLink key={to} to={to} end={to === '/'}>{name}</NavLink>
              ))}
            </nav>
            <a href="/graphql">Sandbox</a>
            <button type="button" className="quiet" onClick={leave}>Forget key</button>
          </header>
          <Content />
        </>
      )}
    </KeyGate>
  );
}

function Content() {
  const { pathname } = useLocation();
  const content = useArrival();
  return (
    <main id="content" ref={content} tabIndex={-1}>
      <Suspense fallback={<p className="hint">Loading …</p>}>
        {/* What is wrong with one page is not with the next. */}
        <PageBoundary key={pathname}>
          <Routes>
            <Route path="/" element={<Runs />} />
            <Route path="/runs/new" element={<NewRun />} />
            <Route path="/runs/:id" element={<Run />} />
            <Route path="/compare" element={<Compare />} />
            <Route path="/models" element={<Models />} />
            <Route path="/models/new" element={<NewModel />} />
            <Route path="/models/:name" element={<Model />} />
            <Route path="/datasets" element={<Datasets />} />
            <Route path="/datasets/:name" element={<Dataset />} />
            <Route path="/predict" element={<Predict />} />
            <Route path="/serving" element={<Serving />} />
            <Route path="*" element={<NotFound />} />
          </Routes>
        </PageBoundary>
      </Suspense>
    </main>
  );
}
