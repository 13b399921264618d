-- A version's network in eight bits.
ALTER TYPE "ArtifactKind" ADD VALUE 'ONNX_INT8';

-- A run whose version is to be quantised once it is published.
ALTER TABLE "TrainingRun" ADD COLUMN "quantize" BOOLEAN NOT NULL DEFAULT false;

-- That a version is to be quantised, and what came of it: the row is the truth, a job only says when.
CREATE TYPE "QuantizationStatus" AS ENUM ('PENDING', 'SUCCEEDED', 'FAILED');
CREATE TABLE "Quantization" (
    "versionId" TEXT NOT NULL,
    "datasetId" TEXT,
    "status" "QuantizationStatus" NOT NULL DEFAULT 'PENDING',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "failure" TEXT,
    "evaluation" JSONB,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finishedAt" TIMESTAMPTZ(3),

    CONSTRAINT "Quantization_pkey" PRIMARY KEY ("versionId"),
    CONSTRAINT "Quantization_versionId_fkey" FOREIGN KEY ("versionId") REFERENCES "ModelVersion"("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "Quantization_datasetId_fkey" FOREIGN KEY ("datasetId") REFERENCES "Dataset"("id") ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE INDEX "Quantization_status_idx" ON "Quantization"("status");
