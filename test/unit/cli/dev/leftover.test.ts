import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DevLayout, type DevProcess, layoutIn, writeCluster } from '../../../../cli/dev/layout.ts';
import { freePort } from '../../../../cli/dev/ports.ts';
import { restartParts } from '../../../../cli/dev/restart.ts';
import { startCluster } from '../../../../cli/dev/up.ts';
import { type ErrorCode, ShoalError } from '../../../../lib/errors.ts';
import { isAlive, processId, type ProcessId } from '../../../../lib/process-id.ts';
import { capturedShell } from '../../../support/captured-shell.ts';

const DEAD = { pid: 0, startTime: '' };
const ALIVE = processId(process.pid);

describe('what an earlier development cluster left', () => {
  let layout: DevLayout;
  let taken: Server;
  let takenPort: number;

  beforeEach(async () => {
    layout = layoutIn(mkdtempSync(join(tmpdir(), 'shoal-leftover-')));
    takenPort = await freePort('127.0.0.1');
    taken = createServer().listen(takenPort, '127.0.0.1');
  });
  afterEach(() => {
    taken.close();
    rmSync(layout.folder, { recursive: true });
  });

  const leave = (alive: readonly DevProcess['name'][], managerPort = 1, id: ProcessId = ALIVE): void => {
    const part = (name: string, role: DevProcess['role']): DevProcess => ({
      ...(alive.includes(name) ? (role === 'agent' ? id : ALIVE) : DEAD),
      name,
      role,
      logFile: `${name}.log`,
      command: 'false',
      args: [],
    });
    writeCluster(layout, {
      managers: [`127.0.0.1:${managerPort}`],
      store: 'etcd',
      runtime: 'process',
      dockerSocket: '',
      nodes: [{ hostname: 'node-1', address: '127.0.0.1', portOffset: 0 }],
      processes: [part('etcd', 'etcd'), part('manager', 'manager'), part('node-1', 'agent')],
    });
  };
  const up = (managerPort: number, publishedPorts: readonly number[] = []) => {
    const { shell } = capturedShell();
    const options = { store: 'embedded', runtime: 'process', nodes: 1, managerPort, publishedPorts } as const;
    return startCluster(layout, options, shell, shell.interrupt());
  };
  const restart = (...names: readonly string[]) => {
    const { shell } = capturedShell();
    return restartParts(layout, names, shell, shell.interrupt());
  };
  const refused = (code: ErrorCode, message: RegExp) => (error: unknown) => {
    assert.ok(error instanceof ShoalError);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.ok(existsSync(layout.clusterFile), 'nothing is wiped');
    return true;
  };

  it('is kept while any part of it runs, with the way to start the others again', async () => {
    leave(['node-1']);
    await assert.rejects(
      up(takenPort),
      refused('failed_precondition', /already runs here .*: etcd \(see etcd\.log\), manager .* dev restart`/),
    );
  });

  it('is kept where the new one could not start, since another program has its ports', async () => {
    leave([]);
    await assert.rejects(up(takenPort), refused('unavailable', /:\d+ \(something else listens there\): .*--manager-port/));
    const free = await freePort('127.0.0.1');
    await assert.rejects(up(free, [takenPort]), refused('unavailable', /something else listens there\): .*--port/));
  });

  it('is started again by the names of its parts only, all wrong ones told', async () => {
    leave(['node-1']);
    await assert.rejects(
      restart('manger', 'node-9'),
      refused('invalid_argument', /manger: is no part .* etcd, manager, node-1 \(did you mean manager\?\); node-9: is no part/),
    );
  });

  it('is started again with what its parts need', async () => {
    leave([]);
    await assert.rejects(restart('node-1'), refused('failed_precondition', /etcd, manager have ended, .*dev restart etcd manager node-1`/));
    leave(['etcd', 'node-1'], takenPort);
    await assert.rejects(restart(), refused('unavailable', /something else listens there\): free it and run this again/));
  });

  it('is not stopped for what could not start, since another program has its port', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    const agent = processId(child.pid ?? 0);
    try {
      leave(['etcd', 'node-1'], takenPort, agent);
      await assert.rejects(restart('manager', 'node-1'), refused('unavailable', /something else listens there\): free it/));
      assert.ok(isAlive(agent));
    } finally {
      child.kill('SIGKILL');
    }
  });
});
