import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = new URL('../../../', import.meta.url).pathname;

/** Names of the packages that `shoal ARGS` loads, in a process of its own. */
function packagesOf(args: readonly string[]): {
  readonly packages: ReadonlySet<string>;
  readonly status: number | null;
  readonly stdout: string;
} {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-startup-'));
  try {
    const report = join(folder, 'modules.json');
    const options = ['--require', './test/support/report-modules.cjs', '--import', 'tsx', 'cli/main.ts'];
    const env = { ...process.env, REPORT_MODULES: report, SHOAL_HOST: '127.0.0.1:1' };
    const { status, stdout } = spawnSync(process.execPath, [...options, ...args], { cwd: ROOT, env, encoding: 'utf8' });
    const modules = JSON.parse(readFileSync(report, 'utf8')) as readonly string[];
    const packages = modules.flatMap((module) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(module)?.[1] ?? []);
    return { packages: new Set(packages), status, stdout };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('starting the executable', () => {
  const light: readonly (readonly string[])[] = [['--help'], ['--version'], ['service', 'create', '--help'], ['completion', 'bash']];
  for (const args of light) {
    it(`loads neither grpc nor the codec nor the roles for: shoal ${args.join(' ')}`, () => {
      const { packages, status, stdout } = packagesOf(args);
      assert.equal(status, 0);
      assert.notEqual(stdout, '');
      assert.ok(packages.has('commander'));
      const heavy = ['@grpc/grpc-js', 'protobufjs', 'winston', 'etcd3', 'dockerode', 'prom-client'].filter((name) => packages.has(name));
      assert.deepEqual(heavy, []);
    });
  }

  it('loads grpc where a manager is asked', () => {
    const { packages, status } = packagesOf(['service', 'ls']);
    assert.equal(status, 5);
    assert.ok(packages.has('@grpc/grpc-js') && packages.has('protobufjs'));
  });
});

describe('a role', () => {
  for (const [args, wrong] of [
    [
      ['agent', '--data-addr', 'foo', '--nosuch', '--manager', 'x:y:z'],
      ['--nosuch', '--manager', '--data-addr'],
    ],
    [
      ['manager', '--nosuch', '--listen', 'x'],
      ['--nosuch', '--listen'],
    ],
  ] as const) {
    it(`names unknown flags and wrong values at once: shoal ${args.join(' ')}`, () => {
      const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'cli/main.ts', ...args], { cwd: ROOT, encoding: 'utf8' });
      assert.equal(status, 2, stderr);
      assert.deepEqual(
        [...stderr.matchAll(/^ {2}(--[\w-]+):/gm)].map(([, flag]) => flag),
        wrong,
      );
    });
  }
});
