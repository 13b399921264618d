-- A line that is written again because the answer to the first writing was lost is the same line.
ALTER TABLE "LogLine" ADD COLUMN "attempt" INTEGER, ADD COLUMN "line" INTEGER;
CREATE UNIQUE INDEX "LogLine_runId_attempt_line_key" ON "LogLine"("runId", "attempt", "line");
