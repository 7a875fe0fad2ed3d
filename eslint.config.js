// Lint, and with it the architecture: which folder may import which, and no clock, timer or randomness outside lib/.
import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Folders that must not be imported from `folder`, as seen from any depth below it. */
function forbid(folder, names, why) {
  return {
    files: [`${folder}/**/*.ts`],
    rules: {
      'no-restricted-imports': ['error', { patterns: [{ regex: `^(\\.\\./)+(${names.join('|')})/`, message: why }] }],
    },
  };
}

const ETCD_ONLY_IN_STORE = { regex: '^etcd3', message: 'etcd3 is imported in manager/store/etcd only' };

/** Inside manager/: the parts named may not be imported. */
function forbidParts(part, names, why) {
  return {
    files: [`manager/${part}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: `^(\\.\\./)+(agent|mesh|cli)/`, message: 'roles meet in proto/' },
            { regex: `^\\.\\./(${names.join('|')})/`, message: why },
            ...(part === 'store' ? [] : [ETCD_ONLY_IN_STORE]),
          ],
        },
      ],
    },
  };
}

const IMPURE = [
  { object: 'Date', property: 'now', message: 'take a Clock' },
  { object: 'Math', property: 'random', message: 'take an Rng' },
  { object: 'performance', property: 'now', message: 'take a Clock' },
];

const TIMERS = ['setTimeout', 'setInterval'].map((name) => ({ name, message: 'take a Clock' }));

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'proto/gen/', 'coverage/', '.shoal/'] },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', prefer: 'type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      // winston's and grpc-js's own types do not satisfy these two.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      eqeqeq: 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
    },
  },
  {
    files: ['manager/**/*.ts', 'agent/**/*.ts', 'mesh/**/*.ts', 'cli/**/*.ts'],
    rules: { 'no-restricted-properties': ['error', ...IMPURE], 'no-restricted-globals': ['error', ...TIMERS] },
  },
  forbid('proto', ['lib', 'manager', 'agent', 'mesh', 'cli', 'test'], 'proto imports nothing'),
  forbid('lib', ['proto', 'manager', 'agent', 'mesh', 'cli', 'test'], 'lib imports nothing: it has no domain'),
  forbid('agent', ['manager', 'mesh', 'cli', 'test'], 'roles meet in proto/'),
  forbid('mesh', ['manager', 'agent', 'cli', 'test'], 'roles meet in proto/'),
  forbid('cli', ['manager', 'agent', 'mesh', 'test'], 'roles meet in proto/; only the entry file cli/main.ts may load them'),
  forbidParts('store', ['state', 'scheduler', 'orchestrator', 'leader', 'dispatcher', 'api'], 'the store knows nothing above it'),
  forbidParts('state', ['scheduler', 'orchestrator', 'leader', 'dispatcher', 'api'], 'state stands on the store alone'),
  forbidParts('events', ['store', 'scheduler', 'orchestrator', 'leader', 'dispatcher', 'api', 'explain'], 'events are made of rows alone'),
  forbidParts('scheduler', ['store', 'state', 'leader', 'dispatcher', 'api', 'orchestrator'], 'the scheduler is pure'),
  forbidParts('orchestrator', ['store', 'leader', 'dispatcher', 'api', 'scheduler'], 'reconcilers are pure'),
  forbidParts(
    'explain',
    ['store', 'dispatcher', 'api', 'leader(?!/(first-seen|inventory-feed|make-room|placer)\\.ts)', 'ca'],
    'explaining is pure: it asks the pure parts that decide',
  ),
  forbidParts('leader', ['dispatcher', 'api', 'explain'], 'the leader feeds the pure parts and commits'),
  forbidParts('dispatcher', ['scheduler', 'orchestrator', 'leader', 'api'], 'the dispatcher serves sessions'),
  forbidParts('api', ['scheduler', 'orchestrator', 'leader'], 'the API writes desired state only'),
  {
    files: ['cli/main.ts'],
    rules: { 'no-restricted-imports': 'off' },
  },
  {
    files: ['**/*.mjs', '**/*.js', '**/*.cjs'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
        performance: 'readonly',
        require: 'readonly',
        module: 'writable',
      },
    },
    rules: { 'no-restricted-exports': 'off' },
  },
);
