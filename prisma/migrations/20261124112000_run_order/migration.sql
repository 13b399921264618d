-- What runs are sorted by.
ALTER TABLE "TrainingRun"
    ADD COLUMN "accuracy" DOUBLE PRECISION GENERATED ALWAYS AS (("evaluation" ->> 'accuracy')::double precision) STORED,
    ADD COLUMN "loss" DOUBLE PRECISION GENERATED ALWAYS AS (("evaluation" ->> 'loss')::double precision) STORED;

-- In the direction that each is mostly asked for; runs without a value come last.
CREATE INDEX "TrainingRun_startedAt_number_idx" ON "TrainingRun"("startedAt" DESC NULLS LAST, "number" DESC);
CREATE INDEX "TrainingRun_finishedAt_number_idx" ON "TrainingRun"("finishedAt" DESC NULLS LAST, "number" DESC);
CREATE INDEX "TrainingRun_accuracy_number_idx" ON "TrainingRun"("accuracy" DESC NULLS LAST, "number" DESC);
CREATE INDEX "TrainingRun_loss_number_idx" ON "TrainingRun"("loss", "number");
