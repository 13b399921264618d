-- A name for one of a model's versions, moved by one write.
CREATE TABLE "ModelAlias" (
    "modelId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "versionId" TEXT NOT NULL,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ModelAlias_pkey" PRIMARY KEY ("modelId", "name")
);

CREATE INDEX "ModelAlias_versionId_idx" ON "ModelAlias"("versionId");

ALTER TABLE "ModelAlias" ADD CONSTRAINT "ModelAlias_modelId_fkey"
    FOREIGN KEY ("modelId") REFERENCES "Model"("id") ON DELETE CASCADE ON UPDATE CASCADE;
-- Checked at the end of the statement, so that a model goes with its versions and aliases at once.
ALTER TABLE "ModelAlias" ADD CONSTRAINT "ModelAlias_versionId_fkey"
    FOREIGN KEY ("versionId") REFERENCES "ModelVersion"("id") ON DELETE NO ACTION ON UPDATE CASCADE;

-- A number is given once, also where its version is deleted.
ALTER TABLE "Model" ADD COLUMN "lastVersion" INTEGER NOT NULL DEFAULT 0;
UPDATE "Model" SET "lastVersion" = COALESCE(
    (SELECT max("version") FROM "ModelVersion" WHERE "modelId" = "Model"."id"), 0);
