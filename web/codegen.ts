import type { CodegenConfig } from '@graphql-codegen/cli';

/** Types of every operation, and what the forms show: both from the contract that the API emits. */
const config: CodegenConfig = {
  schema: '../schema.graphql',
  documents: 'src/**/*.tsx',
  silent: true,
  generates: {
    'src/gql/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        scalars: {
          BigInt: 'number | string',
          Byte: 'string',
          DateTime: 'string',
          JSON: 'unknown',
        },
        strictScalars: true,
        useTypeImports: true,
        enumsAsTypes: true,
      },
    },
    'src/gql/input-fields.ts': { plugins: ['./input-fields-plugin.mjs'] },
  },
};

export default config;
