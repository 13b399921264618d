-- A version's weights as a TensorFlow.js layers model.
ALTER TYPE "ArtifactKind" ADD VALUE 'TFJS';
