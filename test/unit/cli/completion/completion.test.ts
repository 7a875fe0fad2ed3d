import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { TaskState } from '../../../../proto/index.ts';
import { shoal } from '../../../support/captured-shell.ts';
import { nodeView, serviceView, taskView } from '../../../support/cli-fixtures.ts';
import { startFakeControl } from '../../../support/fake-control.ts';

describe('completion', () => {
  describe('in bash', () => {
    let folder = '';
    let script = '';
    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'shoal-completion-'));
      script = (await shoal(['completion', 'bash'])).stdout;
      // Stands in for the executable that the script asks for names.
      writeFileSync(join(folder, 'shoal'), '#!/bin/sh\ntest "$1" = --host && { echo "from-$2"; exit; }\necho "$2-a"\necho "$2-b"\n');
      chmodSync(join(folder, 'shoal'), 0o755);
    });
    after(() => {
      rmSync(folder, { recursive: true });
    });

    const offered = (line: string): readonly string[] => {
      const words = line.split(' ');
      const list = words.map((word) => `'${word}'`).join(' ');
      const program = `${script}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _shoal; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const env = { ...process.env, PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}` };
      const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', program], { encoding: 'utf8', env });
      assert.equal(stderr, '');
      return stdout.split('\n').filter((word) => word !== '');
    };

    const cases: readonly (readonly [line: string, offered: readonly string[]])[] = [
      ['shoal ser', ['service']],
      ['shoal service in', ['inspect']],
      ['shoal service update --replicas-m', ['--replicas-max-per-node']],
      ['shoal service ps ', ['services-a', 'services-b']],
      ['shoal service ps services-a ', ['services-a', 'services-b']],
      ['shoal --host m1:1 service ps ', ['from-m1:1']],
      ['shoal service update services-a ', []],
      ['shoal service update --env-add A=1 ', ['services-a', 'services-b']],
      ['shoal node inspect nodes-b', ['nodes-b']],
      ['shoal mesh status ', ['nodes-a', 'nodes-b']],
      ['shoal exec -it ', ['tasks-a', 'tasks-b']],
      ['shoal exec tasks-a ', []],
      ['shoal completion z', ['zsh']],
      ['shoal service create --mode ', ['replicated', 'global']],
      ['shoal service create --mode = g', ['global']],
      ['shoal service update --update-order s', ['stop-first', 'start-first']],
      ['shoal node update --availability d', ['drain']],
      ['shoal service ls --format ', ['table', 'json']],
      ['shoal service create --replicas ', []],
      ['shoal service create --network', []],
    ];
    for (const [line, words] of cases) {
      it(`offers ${words.length === 0 ? 'nothing' : words.join(', ')} after "${line}"`, () => {
        assert.deepEqual(offered(line), words);
      });
    }
  });

  for (const [name, program, args] of [
    ['zsh', 'zsh', ['-n']],
    ['fish', 'fish', ['--no-execute']],
    ['bash', 'bash', ['-n']],
  ] as const) {
    it(`for ${name} knows all commands and their flags, and parses where that shell is installed`, async () => {
      const { stdout, exitCode } = await shoal(['completion', name]);
      assert.equal(exitCode, 0);
      for (const word of ['service', 'inspect', 'replicas-max-per-node', '__complete', 'exec']) assert.ok(stdout.includes(word), word);
      const folder = mkdtempSync(join(tmpdir(), 'shoal-completion-'));
      try {
        const file = join(folder, 'script');
        writeFileSync(file, stdout);
        const { status, error, stderr } = spawnSync(program, [...args, file], { encoding: 'utf8' });
        if (error === undefined) assert.equal(status, 0, stderr);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }

  it('gets names from the manager, and none where none answers', async () => {
    const fake = await startFakeControl({
      listServices: () => Promise.resolve({ services: [serviceView('web'), serviceView('api')], revision: 1 }),
      listNodes: () => Promise.resolve({ nodes: [nodeView('host1')], revision: 1 }),
      listTasks: () => Promise.resolve({ tasks: [taskView('web.1'), taskView('web.2', { desired: TaskState.SHUTDOWN })], revision: 1 }),
    });
    try {
      const names = async (kind: string): Promise<string> => (await shoal(['__complete', kind], { manager: fake.address })).stdout;
      assert.equal(await names('services'), 'api\nweb\n');
      assert.equal(await names('nodes'), 'host1\n');
      assert.equal(await names('tasks'), 'web.1\n');
      assert.equal(await names('logs'), 'api\nweb\nweb.1\n');
      assert.equal(await names('nonsense'), '');
    } finally {
      await fake.stop();
    }
    assert.deepEqual(await shoal(['__complete', 'services'], { manager: '127.0.0.1:1' }), { exitCode: 0, stdout: '', stderr: '' });
  });

  it('knows the parts of the development cluster here, also while its manager is dead', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'shoal-completion-'));
    try {
      assert.equal((await shoal(['__complete', 'parts'], { cwd })).stdout, '');
      mkdirSync(join(cwd, '.shoal/dev'), { recursive: true });
      writeFileSync(
        join(cwd, '.shoal/dev/cluster.json'),
        JSON.stringify({ managers: [], nodes: [], processes: [{ name: 'node-1' }, { name: 'manager' }] }),
      );
      assert.equal((await shoal(['__complete', 'parts'], { cwd })).stdout, 'manager\nnode-1\n');
    } finally {
      rmSync(cwd, { recursive: true });
    }
  });
});
