import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** What a process tells Prometheus. Each process has a registry of its own; names carry their unit. */
export type Metrics = ReturnType<typeof createMetrics>;

const LATENCY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const BATCH_IMAGES = [1, 2, 4, 8, 16, 32, 64];

export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counter = <L extends string = never>(name: string, help: string, labelNames: L[] = []) =>
    new Counter({ name: `residual_${name}`, help, labelNames, registers });
  const gauge = <L extends string = never>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name: `residual_${name}`, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, buckets: number[], labelNames: L[]) =>
    new Histogram({ name: `residual_${name}`, help, buckets, labelNames, registers });
  const latency = <L extends string = never>(name: string, help: string, labelNames: L[] = []) =>
    histogram(name, help, LATENCY_SECONDS, labelNames);

  return {
    registry,
    /** `operation` is the first root field: a name from the schema, so that callers cannot grow the series. */
    operations: counter('graphql_operations_total', 'GraphQL operations answered; code OK or the first error code.', [
      'operation',
      'kind',
      'code',
    ]),
    operationSeconds: latency('graphql_operation_seconds', 'Time to answer an operation.', ['operation', 'kind']),
    subscriptions: gauge('graphql_subscriptions', 'Subscriptions open now.'),

    predictions: counter('predictions_total', 'Prediction requests answered; code OK or the error code.', ['code']),
    predictedImages: counter('predicted_images_total', 'Images predicted.'),
    predictionSeconds: latency('prediction_seconds', 'Latency of a prediction request.'),
    predictionPreprocessSeconds: latency(
      'prediction_preprocess_seconds',
      "Time a request's images took to be decoded and normalised, with the wait for a thread.",
    ),
    predictionQueueSeconds: latency('prediction_queue_seconds', 'Time a request waited for its batch.'),
    predictionComputeSeconds: latency('prediction_compute_seconds', 'Time a batch took to compute.'),
    batches: counter('prediction_batches_total', 'Batches computed, by why each was released.', ['reason']),
    pendingImages: gauge('prediction_pending_images', 'Images that are being decoded, wait, compute or are drawn.'),
    batchImages: histogram('prediction_batch_images', 'Images in a batch.', BATCH_IMAGES, []),

    cacheHits: counter('model_cache_hits_total', 'Predictions whose model was in memory.'),
    cacheMisses: counter('model_cache_misses_total', 'Predictions whose model had to be loaded.'),
    modelLoads: counter('model_loads_total', 'Models that were loaded, or failed to, by how it ended.', ['result']),
    modelLoadSeconds: latency('model_load_seconds', 'Time from asking for a model to its being ready.'),
    cacheEvictions: counter('model_cache_evictions_total', 'Models put out of memory.'),
    cacheBytes: gauge('model_cache_bytes', 'Bytes of models in memory.'),
    cacheBudgetBytes: gauge('model_cache_budget_bytes', 'Bytes that models in memory may take.'),
    cachedModels: gauge('model_cache_models', 'Models in memory.'),

    queueDepth: gauge('queue_jobs', 'Jobs in a queue by state.', ['queue', 'state']),
    trainingImagesPerSecond: gauge('training_images_per_second', 'Images trained per second, over all running runs.'),
    trainingSteps: counter('training_steps_total', 'Optimizer steps taken by this process.'),
    trainingImages: counter('training_images_total', 'Images trained by this process.'),
  };
}
