// What the worker removes from the host though nobody told it to.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPortLeases } from '../../../agent/ports/port-leases.ts';
import { createWorker, type Worker } from '../../../agent/worker/worker.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { seededRng } from '../../../lib/rng.ts';
import type { Assignment } from '../../../proto/index.ts';
import { type ScriptedRuntime, scriptedRuntime } from '../../support/scripted-runtime.ts';
import { assignmentOf } from '../../support/test-agent.ts';
import { until } from '../../support/until.ts';

describe('a worker that tidies up', () => {
  let dataDir: string;
  let runtime: ScriptedRuntime;
  let worker: Worker;
  const { signal } = new AbortController();

  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'shoal-tidy-'));
    runtime = scriptedRuntime();
    const base = { dataDir, clock: systemClock, rng: seededRng(1), log: silentLogger };
    worker = createWorker({
      ...base,
      runtime,
      ports: openPortLeases({ ...base, dataAddress: '127.0.0.1', canBind: () => Promise.resolve(true) }),
      probe: () => undefined,
      askerOf: () => () => Promise.resolve({ kind: 'passed' }),
      node: { nodeId: 'node1', clusterId: 'cluster1', dataAddress: '127.0.0.1' },
      retention: { perSlot: 1, perNode: 100 },
      onStatus: () => undefined,
      onForgotten: () => undefined,
      onAdopted: () => undefined,
    });
    worker.start();
    await until(() => worker.adopted(), 'adoption');
  });
  afterEach(async () => {
    await worker.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const assign = (complete: boolean, ...tasks: readonly Assignment[]): void => {
    worker.apply(new Map(tasks.map((task) => [task.taskId, task])), complete);
  };

  it('removes a container that no task accounts for, when it was so the last time already', async () => {
    assign(true);
    runtime.place({ taskId: 'late', state: 'created' });
    await worker.tidy(signal);
    assert.deepEqual([worker.reclaimed(), worker.taskCount()], [0, 0], 'the call that made it may still be under way');
    await worker.tidy(signal);
    await until(() => runtime.instance('late') === undefined, 'its removal');
    assert.equal(worker.reclaimed(), 1);
  });

  it('removes nothing that is assigned, or may be', async () => {
    runtime.place({ taskId: 'stray' });
    for (let time = 0; time < 3; time++) await worker.tidy(signal);
    assert.ok(runtime.instance('stray'), 'no manager has said yet what all of it is');
    runtime.vanish('stray');
    assign(true, assignmentOf('t1'));
    await until(() => runtime.instance('t1')?.state === 'running', 't1 running');
    for (let time = 0; time < 3; time++) await worker.tidy(signal);
    assert.equal(runtime.instance('t1')?.state, 'running');
    assert.equal(worker.reclaimed(), 0);
  });

  it('keeps as many finished containers of a slot as it is told', async () => {
    assign(true, assignmentOf('t1'), assignmentOf('t2'));
    for (const taskId of ['t1', 't2']) {
      await until(() => runtime.instance(taskId)?.state === 'running' && runtime.inFlight('wait') > 0, `${taskId} running`);
    }
    await until(() => runtime.inFlight('wait') === 2, 'both watched');
    for (const taskId of ['t1', 't2']) runtime.exit(taskId);
    await until(() => ['t1', 't2'].filter((taskId) => runtime.instance(taskId) !== undefined).length === 1, 'one of them removed');
    assert.equal(worker.reclaimed(), 1);
  });
});
