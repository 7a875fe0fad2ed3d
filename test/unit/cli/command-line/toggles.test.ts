import assert from 'node:assert/strict';
import { Command } from 'commander';
import { toggle, withTogglesSpelledOut } from '../../../../cli/command-line/toggles.ts';

function parsed(args: readonly string[]): Readonly<Record<string, unknown>> {
  const command = new Command('test')
    .exitOverride()
    .option('-n, --name <NAME>')
    .argument('[REST...]')
    .action(() => undefined);
  toggle(command, '-d, --detach', '');
  toggle(command, '--no-trunc', '');
  command.parse(withTogglesSpelledOut(command, args, false), { from: 'user' });
  return command.opts();
}

describe('a flag that is on or off', () => {
  it('is neither where it is not given', () => {
    assert.deepEqual(parsed([]), {});
  });

  it('takes Docker’s =true and =false', () => {
    assert.deepEqual(parsed(['--detach']), { detach: true });
    assert.deepEqual(parsed(['--detach=true']), { detach: true });
    assert.deepEqual(parsed(['--detach=false']), { detach: false });
    assert.deepEqual(parsed(['--no-trunc']), { trunc: false });
    assert.deepEqual(parsed(['--no-trunc=true']), { trunc: false });
    assert.deepEqual(parsed(['--no-trunc=false']), { trunc: true });
  });

  it('leaves the values of other flags alone', () => {
    assert.deepEqual(parsed(['--name', '--detach=false']), { name: '--detach=false' });
    assert.deepEqual(parsed(['-dn', '--detach=false']), { detach: true, name: '--detach=false' });
    assert.deepEqual(parsed(['--name=true']), { name: 'true' });
  });

  it('leaves what belongs to another command alone', () => {
    const command = new Command('test');
    toggle(command, '--init', '');
    assert.deepEqual(withTogglesSpelledOut(command, ['--init=false', 'image', '--init=false'], true), [
      '--no-init',
      'image',
      '--init=false',
    ]);
    assert.deepEqual(withTogglesSpelledOut(command, ['--', '--init=false'], false), ['--', '--init=false']);
  });
});
