-- How requests for a model are batched.
ALTER TABLE "Model"
    ADD COLUMN "maxBatch" INTEGER NOT NULL DEFAULT 32,
    ADD COLUMN "maxDelayMs" INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN "maxQueue" INTEGER NOT NULL DEFAULT 1024;
