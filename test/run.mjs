// `npm test`: set-up, then every suite in turn. `npm test -- unit lint` runs only the suites named.
// A suite that cannot run here says so; with CI=true that is a failure.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = process.execPath;

/** On Debian, as root, these are installed where missing; elsewhere the suites that need them are skipped. */
const PACKAGES = [
  'docker.io',
  'etcd-server',
  'etcd-client',
  'nftables',
  'iproute2',
  'iptables',
  'busybox-static',
  'docker-registry',
  'util-linux',
];

/** A suite that takes this long hangs. */
const SUITE_TIMEOUT_MS = 15 * 60_000;

const SUITES = [
  { name: 'format', command: ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'] },
  { name: 'lint', command: ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings', '0'] },
  { name: 'types', command: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json'] },
  { name: 'unit', mocha: ['test/unit/**/*.test.ts'], parallel: true },
  { name: 'property', mocha: ['test/property/**/*.test.ts'], parallel: true },
  { name: 'sim', mocha: ['test/sim/**/*.test.ts'], timeoutMs: 600_000 },
  { name: 'integration', mocha: ['test/integration/**/*.test.ts'], timeoutMs: 120_000 },
  { name: 'e2e', mocha: ['test/e2e/**/*.test.ts'], timeoutMs: 180_000 },
  { name: 'fault', mocha: ['test/fault/**/*.test.ts'], timeoutMs: 180_000 },
];

function main() {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !SUITES.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    process.stderr.write(`no suite ${unknown.join(', ')}; there are: ${SUITES.map((suite) => suite.name).join(', ')}\n`);
    process.exit(2);
  }
  installPackages();
  const folder = mkdtempSync(join(tmpdir(), 'shoal-test-'));
  const counts = join(folder, 'counts');
  const failed = [];
  try {
    for (const suite of SUITES) {
      if (wanted.length > 0 && !wanted.includes(suite.name)) continue;
      const started = performance.now();
      const ok = runSuite(suite, counts);
      process.stdout.write(`${ok ? 'ok    ' : 'FAILED'} ${suite.name} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`);
      if (!ok) failed.push(suite.name);
    }
    report(counts, failed);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.exitCode = failed.length === 0 ? 0 : 1;
}

function runSuite(suite, counts) {
  const args = suite.command ?? [
    'node_modules/mocha/bin/mocha.js',
    '--reporter',
    'test/support/counting-reporter.cjs',
    '--timeout',
    String(suite.timeoutMs ?? 10_000),
    // What a failed test left open must not hold the run.
    '--exit',
    ...(suite.parallel ? ['--parallel', '--jobs', '2'] : []),
    ...suite.mocha,
  ];
  const result = spawnSync(node, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, SHOAL_TEST_COUNTS: counts },
    timeout: SUITE_TIMEOUT_MS,
  });
  return result.status === 0;
}

function installPackages() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    process.stderr.write(
      'not root on Debian: nothing is installed, and suites that need etcd, Docker or network namespaces are skipped where those are missing\n',
    );
    return;
  }
  const missing = PACKAGES.filter((name) => spawnSync('dpkg', ['-s', name], { stdio: 'ignore' }).status !== 0);
  if (missing.length === 0) return;
  process.stderr.write(`installing ${missing.join(' ')} ...\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) =>
    spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env }).status;
  if (apt('update') !== 0 || apt('install', '-y', '--no-install-recommends', ...missing) !== 0) {
    process.stderr.write('apt-get could not install them; suites that need them will say so\n');
  }
}

function report(counts, failed) {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const lines = existsSync(counts) ? readFileSync(counts, 'utf8').trim().split('\n') : [];
  for (const line of lines) {
    const [passed = 0, failures = 0, skipped = 0] = line.split(' ').map(Number);
    totals.passed += passed;
    totals.failed += failures;
    totals.skipped += skipped;
  }
  if (failed.length > 0) process.stdout.write(`failed suites: ${failed.join(', ')}\n`);
  process.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
}

main();
