import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LAUNCHER = new URL('../../../deploy/shoal', import.meta.url).pathname;

describe('the executable shoal', () => {
  it('passes every argument on, and flags that Node.js has too do not reach it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-launcher '));
    try {
      for (const part of ['deploy', 'dist/cli', 'bin']) mkdirSync(join(folder, part), { recursive: true });
      copyFileSync(LAUNCHER, join(folder, 'deploy/shoal'));
      writeFileSync(join(folder, 'dist/cli/main.js'), 'console.log(JSON.stringify(process.argv.slice(2)));');
      symlinkSync('../deploy/shoal', join(folder, 'bin/shoal'));
      const args = ['service', 'create', '--env-file', '/nowhere/at all', '--env-file=', '', '*', '--', "it's"];
      const { stdout, stderr, status } = spawnSync(join(folder, 'bin/shoal'), args, { encoding: 'utf8' });
      assert.deepEqual([stderr, status], ['', 0]);
      assert.deepEqual(JSON.parse(stdout), args);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
