// Jobs on a real engine: what counts is how their containers end.
import assert from 'node:assert/strict';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { TEST_IMAGE } from '../support/engine.ts';
import { requirement } from '../support/requirements.ts';

describe('jobs on a real engine', () => {
  let cluster: TestCluster;

  before(async function () {
    requirement(this, 'docker', 'namespaces');
    cluster = await startCluster({ nodes: 1, store: 'embedded' });
  });

  after(async () => {
    await (cluster as TestCluster | undefined)?.stop();
  });

  const run = (name: string, flags: readonly string[], script: string): ReturnType<TestCluster['shoal']> => {
    const fixed = ['--name', name, '--mode', 'replicated-job', '--no-resolve-image', '--timeout', '60s'];
    return cluster.shoal('service', 'create', ...fixed, ...flags, TEST_IMAGE, 'sh', '-c', script);
  };

  it('complete when their containers have ended well, and keep what these printed', async () => {
    const flags = ['--replicas', '3', '--max-concurrent', '2', '--env', 'SLOT={{.Task.Slot}}'];
    const made = await run('batch', flags, 'echo part $SLOT');
    assert.equal(made.code, 0, made.stderr);
    const logs = await cluster.shoal('service', 'logs', 'batch');
    assert.deepEqual([...logs.stdout.matchAll(/part \d/g)].map(([line]) => line).sort(), ['part 0', 'part 1', 'part 2']);
    const [service] = await cluster.list('service', 'ls', '--filter', 'name=batch');
    assert.equal(service?.['Replicas'], '0/0 (3/3 completed)');
  });

  it('fail with the exit code of their container', async () => {
    const made = await run('broken', ['--restart-condition', 'none'], 'exit 4');
    assert.equal(made.code, 6);
    assert.match(made.stderr, /job broken did not complete: task broken\.0 failed: exit code 4/);
  });
});
