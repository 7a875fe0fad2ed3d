// The suites of `npm test`, in the order in which they are begun.

const mocha = (folder, { timeoutMs = 60_000, jobs = 1 } = {}) => [
  'node_modules/mocha/bin/mocha.js',
  ...['--reporter', 'test/support/counting-reporter.cjs', '--timeout', String(timeoutMs)],
  // What a failed test left open must not hold the run.
  '--exit',
  ...(jobs > 1 ? ['--parallel', '--jobs', String(jobs)] : []),
  `test/${folder}/**/*.test.ts`,
];

/**
 * `command` is for Node, in the root of the clone. `besides`: uses one core, and runs beside another such suite; all others run alone. The files of a suite
 * with several jobs run in as many processes: no file uses a port, a namespace, an engine or a folder of another (test/support/sockets.ts has an address for
 * each process). Integration tests mostly wait, so there are more of them than cores. Suites in which clusters live by real time (e2e, fault) take one file at
 * a time.
 */
export const SUITES = [
  { name: 'lint', besides: true, command: ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings', '0'] },
  { name: 'types', besides: true, command: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json'] },
  { name: 'format', besides: true, command: ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'] },
  { name: 'unit', command: mocha('unit', { jobs: 2 }) },
  { name: 'property', command: mocha('property', { jobs: 2 }) },
  { name: 'sim', command: mocha('sim', { jobs: 2, timeoutMs: 600_000 }) },
  { name: 'integration', command: mocha('integration', { jobs: 3, timeoutMs: 120_000 }) },
  { name: 'e2e', command: mocha('e2e', { timeoutMs: 180_000 }) },
  { name: 'fault', command: mocha('fault', { timeoutMs: 180_000 }) },
];
