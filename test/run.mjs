// `npm test`: set-up, then every suite. `npm test -- unit lint` runs only the suites named.
// A suite that cannot run here says so; with CI=true that is a failure.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPackages } from './run/packages.mjs';
import { runSuites } from './run/run-suites.mjs';
import { SUITES } from './run/suites.mjs';

async function main() {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !SUITES.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    process.stderr.write(`no suite ${unknown.join(', ')}; there are: ${SUITES.map((suite) => suite.name).join(', ')}\n`);
    process.exit(2);
  }
  installPackages();
  const folder = mkdtempSync(join(tmpdir(), 'shoal-test-'));
  const counts = join(folder, 'counts');
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const suites = SUITES.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  const failed = await runSuites(suites, { SHOAL_TEST_COUNTS: counts });
  report(counts, failed);
  process.exitCode = failed.length === 0 ? 0 : 1;
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

await main();
