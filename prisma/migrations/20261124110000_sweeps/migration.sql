-- A search over trainings: its trials are ordinary runs.
CREATE TABLE "Sweep" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "status" "RunStatus" NOT NULL DEFAULT 'RUNNING',
    "config" JSONB NOT NULL,
    "trials" INTEGER NOT NULL,
    "rungs" INTEGER[],
    "idempotencyKey" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finishedAt" TIMESTAMPTZ(3),

    CONSTRAINT "Sweep_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "Sweep_idempotencyKey_key" ON "Sweep"("idempotencyKey");
CREATE INDEX "Sweep_status_idx" ON "Sweep"("status");

ALTER TABLE "TrainingRun" ADD COLUMN "sweepId" TEXT, ADD COLUMN "trial" INTEGER;

CREATE UNIQUE INDEX "TrainingRun_sweepId_trial_key" ON "TrainingRun"("sweepId", "trial");
ALTER TABLE "TrainingRun" ADD CONSTRAINT "TrainingRun_sweepId_fkey"
    FOREIGN KEY ("sweepId") REFERENCES "Sweep"("id") ON DELETE SET NULL ON UPDATE CASCADE;
