import { defineConfig, globalIgnores } from 'eslint/config';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

const UNBREAKABLE = { ignoreUrls: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true };

export default defineConfig(
  globalIgnores([
    'dist/', 'native/build/', 'native/test/build/', 'src/infra/prisma/', '.residual/', 'coverage/', 'web/dist/',
    'web/src/gql/',
  ]),
  tseslint.configs.recommended,
  {
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-var': 'error',
      'prefer-const': 'error',
      'no-debugger': 'error',
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-console': ['error', { allow: ['error'] }],
      'max-len': ['error', { code: 120, ...UNBREAKABLE }],
      quotes: ['error', 'single', { avoidEscape: true, allowTemplateLiterals: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
    },
  },
  {
    files: ['src/**/*.ts', 'workers/**/*.ts', 'bench/**/*.ts', 'test/**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['src/**/*.ts', 'workers/**/*.ts'],
    ignores: ['src/config.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "MemberExpression[object.name='process'][property.name='env']",
          message: 'src/config.ts alone reads the environment; take what you need as an option.',
        },
      ],
    },
  },
  {
    // type-graphql reads parameters' classes at run time, where a type import would leave nothing.
    files: ['src/graphql/**/*.ts'],
    rules: { '@typescript-eslint/consistent-type-imports': 'off' },
  },
  { files: ['web/**/*.tsx'], extends: [reactHooks.configs.flat.recommended] },
  {
    // A title is a claim, and a claim is a whole sentence.
    files: ['test/**/*.ts'],
    rules: { 'max-len': ['error', { code: 140, ...UNBREAKABLE }] },
  },
  {
    files: ['bench/**/*.ts', 'scripts/**/*.mjs', 'test/**/*.mjs'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['**/*.cjs'],
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
);
