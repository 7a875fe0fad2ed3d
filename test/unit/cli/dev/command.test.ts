import assert from 'node:assert/strict';
import { runCli } from '../../../../cli/run.ts';
import { configureDev } from '../../../../cli/dev/command.ts';
import { capturedShell } from '../../../support/captured-shell.ts';

async function dev(...args: readonly string[]): Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }> {
  const captured = capturedShell();
  const load = () =>
    Promise.resolve((command: Parameters<typeof configureDev>[0]) => {
      configureDev(command, captured.shell);
    });
  const exitCode = await runCli(['dev', ...args], captured.shell, [{ name: 'dev', summary: 'A cluster here', group: 'Roles:', load }]);
  return { exitCode, stdout: captured.stdout(), stderr: captured.stderr() };
}

describe('shoal dev', () => {
  it('alone shows its verbs', async () => {
    const { exitCode, stdout, stderr } = await dev();
    assert.deepEqual([exitCode, stderr], [0, '']);
    assert.match(stdout, /\n {2}up .*\n[^]*\n {2}restart /);
  });

  const mistakes: readonly (readonly [args: string, stderr: RegExp])[] = [
    ['statsu', /unknown command "statsu" \(did you mean status\?\); `shoal dev --help`/],
    [
      'up --nodes 10 --store disk --port x --manager-port 70000 --runtime vm',
      /--store: "disk" is not one of etcd, embedded\n.*--runtime: "vm" .*\n.*--nodes: "10" .* 1 to 9\n.*--manager-port: "70000" .*\n.*--port: "x" .*\n$/,
    ],
    ['up --demo --port 7420', /--port: is that of the manager, too/],
    ['up --manager-port 8080 --nodes 0', /lists what there is:\n {2}--nodes: [^\n]*\n$/],
    ['up --node 3 --detached', /--node: unknown flag \(did you mean --nodes\?\)\n.*--detached: unknown flag \(did you mean --detach\?\)/],
    [
      'up --nodes 0 --store foo --runtime bar --bogus',
      /--bogus: unknown flag.*\n.*--store: "foo" .*\n.*--runtime: "bar" .*\n.*--nodes: "0" .*\n$/,
    ],
    ['down now', /too many arguments/],
  ];
  for (const [args, wrong] of mistakes) {
    it(`refuses: shoal dev ${args}`, async () => {
      const { exitCode, stderr } = await dev(...args.split(' '));
      assert.match(stderr, wrong);
      assert.equal(exitCode, 2);
    });
  }

  for (const verb of ['status', 'restart']) {
    it(`says where no cluster is: shoal dev ${verb}`, async () => {
      const { exitCode, stderr } = await dev(verb);
      assert.match(stderr, /no cluster runs here; start one with `npx shoal dev up`/);
      assert.equal(exitCode, 3);
    });
  }
});
