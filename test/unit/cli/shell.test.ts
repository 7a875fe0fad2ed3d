import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { isOnPath } from '../../support/requirements.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const PRINT = `import('./cli/shell.ts').then(({ processShell }) => {
  const { out } = processShell();
  console.log([out.isTerminal === true, out.columns, out.rows].join());
})`;

describe('the terminal', () => {
  const node = [process.execPath, '--import', 'tsx', '-e', PRINT];
  const sizeOf = (command: string, args: readonly string[]): string =>
    spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' }).stdout.trim();

  it('has the usual size where there is none', () => {
    const [command = '', ...args] = node;
    assert.equal(sizeOf(command, args), 'false,80,24');
  });

  it('has the usual size where nobody told it its own', function () {
    // A new pseudo-terminal says 0 by 0.
    if (!isOnPath('script')) this.skip();
    const line = node.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    assert.equal(sizeOf('script', ['-q', '-e', '-c', `stty rows 0 cols 0; ${line}`, '/dev/null']), 'true,80,24');
    assert.equal(sizeOf('script', ['-q', '-e', '-c', `stty rows 50 cols 132; ${line}`, '/dev/null']), 'true,132,50');
  });
});
