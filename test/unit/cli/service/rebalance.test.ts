import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { ShoalError } from '../../../../lib/errors.ts';
import {
  PlannedAction,
  PlannedTask,
  RebalanceAnswer,
  RebalancePolicy,
  RebalanceState,
  RebalanceStatus,
  type ServicePlan,
  ServicePlan as Plan,
  ServiceProgress,
  ServiceStatus,
} from '../../../../proto/index.ts';
import { createSpec, updateSpec } from '../../../../cli/service/spec/service-spec.ts';
import { NOW_UNIX_MS, shoal } from '../../../support/captured-shell.ts';
import { idOf, serviceView } from '../../../support/cli-fixtures.ts';
import { fakeControls } from '../../../support/fake-control.ts';
import { specOf } from '../../../support/service-specs.ts';

const fakes = fakeControls();

/** A manager that answers with request 4, and then tells all of `statuses`. */
function telling(...statuses: readonly Partial<RebalanceStatus>[]) {
  return {
    rebalanceService: ({ ref }: { readonly ref: string }) =>
      Promise.resolve(RebalanceAnswer.create({ serviceId: idOf(ref), serviceName: ref, request: 4, revision: 9 })),
    watchProgress: (_request: unknown, call: { write(progress: ServiceProgress): unknown }) => {
      for (const status of statuses) {
        const rebalance = RebalanceStatus.create({ request: 4, ...status });
        call.write(ServiceProgress.create({ serviceId: idOf('web'), desired: 2, running: 2, rebalance }));
      }
      return Promise.resolve();
    },
  };
}

describe('service rebalance', () => {
  it('waits until nothing is left to move, shows what it waits for and says how many moved', async () => {
    const manager = await fakes.start(
      telling(
        { request: 3, state: RebalanceState.REBALANCE_COMPLETED, message: 'old news' },
        { state: RebalanceState.REBALANCING, moved: 2, message: 'waiting for web.3 to come up elsewhere' },
        { state: RebalanceState.REBALANCE_COMPLETED, moved: 3, message: '3 tasks moved' },
      ),
    );
    const { exitCode, stdout, stderr } = await shoal(['service', 'rebalance', 'web', 'db'], { manager });
    assert.deepEqual([exitCode, stdout], [0, 'web\ndb\n']);
    assert.match(stderr, /rebalancing: 2 moved, waiting for web\.3 to come up elsewhere\n/);
    assert.match(stderr, /service web is balanced: 3 tasks moved\nservice db is balanced|service db is balanced: 3 tasks moved/);
    assert.doesNotMatch(stderr, /old news/);
  });

  it('returns at once with --detach', async () => {
    const manager = await fakes.start({ rebalanceService: telling().rebalanceService });
    const { exitCode, stdout } = await shoal(['service', 'rebalance', '-d', 'web'], { manager });
    assert.deepEqual([exitCode, stdout, fakes.current?.calls], [0, 'web\n', ['rebalanceService']]);
  });

  it('fails with 6 where it was stopped or cancelled, and says why', async () => {
    const stopped = await fakes.start(telling({ state: RebalanceState.REBALANCE_STOPPED, message: 'task web.3 was moved and failed' }));
    const one = await shoal(['service', 'rebalance', 'web'], { manager: stopped });
    assert.equal(one.exitCode, 6);
    assert.match(one.stderr, /the rebalancing of web was stopped: task web\.3 was moved and failed\. .*service explain web/);
    const cancelled = await fakes.start(
      telling({ state: RebalanceState.REBALANCE_CANCELLED, message: 'the service was changed after 1 task moved' }),
    );
    const other = await shoal(['service', 'rebalance', 'web'], { manager: cancelled });
    assert.equal(other.exitCode, 6);
    assert.match(other.stderr, /was cancelled: the service was changed after 1 task moved/);
  });

  it('goes on with the others where one is refused', async () => {
    const manager = await fakes.start({
      ...telling({ state: RebalanceState.REBALANCE_COMPLETED, message: 'no task would do better elsewhere' }),
      rebalanceService: (request) =>
        request.ref === 'agents'
          ? Promise.reject(new ShoalError('failed_precondition', 'agents is global'))
          : telling().rebalanceService(request),
    });
    const { exitCode, stdout, stderr } = await shoal(['service', 'rebalance', 'agents', 'web'], { manager });
    assert.deepEqual([exitCode, stdout], [1, 'web\n']);
    assert.match(stderr, /agents is global/);
    assert.match(stderr, /service web is balanced: no task would do better elsewhere/);
  });

  it('shows with --plan what would move, and changes nothing', async () => {
    const spec = specOf({ spec: { name: 'web' } });
    const plan = (tasks: ServicePlan['tasks']): ServicePlan =>
      Plan.create({
        serviceId: idOf('web'),
        serviceName: 'web',
        version: 7,
        before: spec,
        after: spec,
        tasks,
        unchangedTasks: 3,
        fits: true,
      });
    const move = PlannedTask.create({ name: 'web.4', action: PlannedAction.PLAN_MOVE, fromHostname: 'host1', toHostname: 'host2' });
    const asked: unknown[] = [];
    let answer = plan([move]);
    const manager = await fakes.start({
      planService: ({ change }) => {
        asked.push(change);
        return Promise.resolve(answer);
      },
    });
    const moves = await shoal(['service', 'rebalance', '--plan', 'web'], { manager });
    assert.equal(moves.exitCode, 1);
    assert.match(moves.stdout, /^web \(version 7\):\ntasks: 1 moved, 3 unchanged\n {2}move\s+web\.4\s+host1 -> host2\n$/);
    assert.deepEqual(asked, [{ case: 'rebalance', value: { ref: 'web' } }]);
    answer = plan([]);
    const nothing = await shoal(['service', 'rebalance', '--plan', 'web'], { manager });
    assert.deepEqual([nothing.exitCode, nothing.stdout], [0, 'web (version 7): nothing would change\n']);
    assert.deepEqual(new Set(fakes.current?.calls), new Set(['planService']));
  });
});

describe('--rebalance', () => {
  const source = { env: {}, readFile: () => '' } as never;

  it('is manual unless said otherwise', () => {
    assert.equal(createSpec('web', [], {}, source, () => 'web').spec.rebalance, RebalancePolicy.REBALANCE_MANUAL);
    const auto = createSpec('web', [], { rebalance: 'auto' }, source, () => 'web').spec;
    assert.equal(auto.rebalance, RebalancePolicy.REBALANCE_AUTO);
    assert.equal(updateSpec(auto, {}, source).spec.rebalance, RebalancePolicy.REBALANCE_AUTO);
    assert.equal(updateSpec(auto, { rebalance: 'manual' }, source).spec.rebalance, RebalancePolicy.REBALANCE_MANUAL);
    const [wrong] = updateSpec(auto, { rebalance: 'often' }, source).problems;
    assert.equal(wrong?.path, '--rebalance');
  });

  it('is shown by inspect, with how the last rebalancing went', async () => {
    const rebalance = RebalanceStatus.create({
      state: RebalanceState.REBALANCING,
      automatic: true,
      moved: 2,
      message: 'waiting for web.3 to come up elsewhere',
      startedUnixMs: NOW_UNIX_MS - 60_000,
    });
    const view = serviceView('web', { rebalance: RebalancePolicy.REBALANCE_AUTO }, { status: ServiceStatus.create({ rebalance }) });
    const manager = await fakes.start({ getService: () => Promise.resolve(view) });
    const { stdout } = await shoal(['service', 'inspect', '--pretty', 'web'], { manager });
    assert.match(stdout, /Rebalancing:\n State:\s+rebalancing, by itself\n Moved:\s+2\n/);
    assert.match(stdout, /Rebalance:\s+auto/);
    const json = await shoal(['service', 'inspect', '--format', '{{.RebalanceStatus.State}} {{.RebalanceStatus.Moved}}', 'web'], {
      manager,
    });
    assert.equal(json.stdout, 'rebalancing 2\n');
  });
});
