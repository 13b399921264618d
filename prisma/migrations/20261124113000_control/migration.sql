-- A run that is asked to pause.
ALTER TYPE "RequestedState" ADD VALUE 'PAUSE';

-- What a run was asked for beside its plan: it decides no number.
ALTER TABLE "TrainingRun"
    ADD COLUMN "checkpointEverySteps" INTEGER,
    ADD COLUMN "keepCheckpoints" INTEGER NOT NULL DEFAULT 2,
    ADD COLUMN "pauseAfterEpoch" INTEGER,
    ADD COLUMN "queuedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;
UPDATE "TrainingRun" SET "queuedAt" = "createdAt";

-- Objects whose last row went, until they have gone too: a crash between the two is made good by whoever looks here.
CREATE TABLE "DroppedObject" (
    "sha256" TEXT NOT NULL,
    "droppedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "DroppedObject_pkey" PRIMARY KEY ("sha256")
);
