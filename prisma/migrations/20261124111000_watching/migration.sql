-- When a run's row was last written, so that a reader finds what changed since it looked, and how many threads compute it.
ALTER TABLE "TrainingRun"
    ADD COLUMN "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    ADD COLUMN "threads" INTEGER;

CREATE INDEX "TrainingRun_updatedAt_idx" ON "TrainingRun"("updatedAt");

-- By the database itself, so that no writer can forget it, and by its clock, which all readers share.
CREATE FUNCTION "stampTrainingRun"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW."updatedAt" := clock_timestamp();
    RETURN NEW;
END
$$;
CREATE TRIGGER "TrainingRun_updatedAt" BEFORE INSERT OR UPDATE ON "TrainingRun"
    FOR EACH ROW EXECUTE FUNCTION "stampTrainingRun"();

-- A worker that went silent is kept for a day, and shown as gone.
ALTER TABLE "Worker" ADD COLUMN "threads" INTEGER;
