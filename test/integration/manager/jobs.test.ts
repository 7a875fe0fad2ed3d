// Jobs over a whole manager and the CLI: agents that do their tasks' work at once, one image of which fails.
import assert from 'node:assert/strict';
import { NodeDescription, TaskState } from '../../../proto/index.ts';
import { type FakeAgent, fakeAgent } from '../../support/fake-agent.ts';
import { type CliResult, type ManagerProcess, startManagerProcess } from '../../support/manager-process.ts';
import { until } from '../../support/until.ts';

const DEADLINE_MS = 40_000;

/** The next state that an agent reports of a task. */
function workOn(image: string, state: TaskState | undefined): TaskState | undefined {
  if (state === undefined) return TaskState.RUNNING;
  if (state !== TaskState.RUNNING || image === 'endless') return undefined;
  return image === 'broken' ? TaskState.FAILED : TaskState.COMPLETE;
}

describe('jobs, from the CLI to the agents', () => {
  let manager: ManagerProcess;
  const agents: FakeAgent[] = [];
  const reported = new Map<string, TaskState>();
  let mostAtOnce = 0;

  before(async () => {
    manager = await startManagerProcess();
    await manager.untilReady();
    for (const hostname of ['h1', 'h2']) {
      const description = NodeDescription.create({ hostname, resources: { nanoCpus: 8e9, memoryBytes: 8 * 1024 ** 3, pids: 0 } });
      const agent = fakeAgent(manager.address, { register: { description } });
      agents.push(agent);
      await agent.untilRegistered();
    }
  });
  after(async () => {
    for (const agent of agents) agent.close();
    await (manager as ManagerProcess | undefined)?.remove();
  });

  const work = (): void => {
    for (const agent of agents) {
      for (const { taskId, desired, spec } of agent.book().tasks.values()) {
        const state = reported.get(taskId);
        const image = spec?.container?.image ?? '';
        const isStopped = desired >= TaskState.SHUTDOWN && (state ?? TaskState.NEW) < TaskState.COMPLETE;
        const next = isStopped ? TaskState.SHUTDOWN : desired === TaskState.COMPLETE ? workOn(image, state) : undefined;
        if (next === undefined) continue;
        reported.set(taskId, next);
        agent.report(taskId, next, next === TaskState.FAILED ? { exitCode: 3, error: 'no such table' } : {});
      }
    }
    mostAtOnce = Math.max(mostAtOnce, [...reported.values()].filter((state) => state === TaskState.RUNNING).length);
  };
  /** The agents go on while the CLI waits. */
  const shoal = async (...args: readonly string[]): Promise<CliResult> => {
    let result: CliResult | undefined;
    const running = manager.shoal(...args).then((end) => {
      result = end;
    });
    await until(
      () => {
        work();
        return result !== undefined;
      },
      () => `shoal ${args.join(' ')} ends`,
      DEADLINE_MS,
    );
    await running;
    return result ?? assert.fail();
  };
  const create = (name: string, ...args: readonly string[]): Promise<CliResult> =>
    shoal('service', 'create', '--no-resolve-image', '--name', name, ...args);
  const listed = async (name: string): Promise<string> =>
    (await shoal('service', 'ls', '--filter', `name=${name}`, '--format', '{{.Mode}} {{.Replicas}}')).stdout.trim();

  it('waits for all completions, a few at a time, and shows them', async () => {
    const made = await create('batch', '--mode', 'replicated-job', '--replicas', '5', '--max-concurrent', '2', 'quick');
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stderr, /job progress: 5 out of 5 complete/);
    assert.match(made.stderr, /job batch complete\n$/);
    assert.ok(mostAtOnce <= 2, `${mostAtOnce} ran at once`);
    assert.equal(await listed('batch'), 'replicated job 0/0 (5/5 completed)');
    const tasks = await shoal('service', 'ps', 'batch', '--format', '{{.Name}} {{.DesiredState}}');
    assert.deepEqual(
      tasks.stdout.trim().split('\n'),
      [0, 1, 2, 3, 4].map((slot) => `batch.${slot} Complete`),
    );
  });

  it('runs anew with --force, and tells of both iterations', async () => {
    const again = await shoal('service', 'update', '--force', 'batch');
    assert.equal(again.code, 0, again.stderr);
    const { stdout } = await shoal('service', 'inspect', 'batch');
    const [{ JobStatus, Spec }] = JSON.parse(stdout) as [
      {
        JobStatus: { JobIteration: unknown; Iterations: { State: string; CompletedTasks: number }[] };
        Spec: { Mode: unknown; UpdateConfig?: unknown };
      },
    ];
    assert.deepEqual(JobStatus.JobIteration, { Index: 1 });
    assert.deepEqual(
      JobStatus.Iterations.map(({ State, CompletedTasks }) => `${State} ${CompletedTasks}`),
      ['completed 5', 'completed 5'],
    );
    assert.deepEqual(Spec.Mode, { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 5 } });
    assert.equal(Spec.UpdateConfig, undefined);
  });

  it('runs a global job once on each node', async () => {
    const made = await create('everywhere', '--mode', 'global-job', 'quick');
    assert.equal(made.code, 0, made.stderr);
    assert.equal(await listed('everywhere'), 'global job 0/0 (2/2 completed)');
    const nodes = await shoal('service', 'ps', 'everywhere', '--format', '{{.Node}}');
    assert.deepEqual(nodes.stdout.trim().split('\n').sort(), ['h1', 'h2']);
  });

  it('fails with the reason when the attempts of a slot are used up', async () => {
    const made = await create('broken', '--mode', 'replicated-job', '--restart-max-attempts', '1', '--restart-delay', '10ms', 'broken');
    assert.equal(made.code, 6);
    assert.match(made.stderr, /job broken did not complete: task broken\.0 failed: exit code 3: no such table; it was restarted 1 time/);
    const pretty = await shoal('service', 'inspect', '--pretty', 'broken');
    assert.match(pretty.stdout, /Completed:\s+0\/1/);
    assert.match(pretty.stdout, /0:\s+failed .*, 0\/1 completed: task broken\.0 failed/);
  });

  it('stops an iteration at its deadline', async () => {
    const made = await create('slow', '--mode', 'replicated-job', '--job-deadline', '300ms', 'endless');
    assert.equal(made.code, 6);
    assert.match(made.stderr, /did not complete within its deadline of 300ms/);
    await until(() => {
      work();
      return [...reported.values()].every((state) => state !== TaskState.RUNNING);
    }, 'what ran is stopped');
  });

  it('waits for the schedule, runs at once when forced, and shows the next run', async () => {
    const flags = ['--schedule', '0 3 1 1 *', '--schedule-timezone', 'Europe/Berlin', '--schedule-overlap', 'forbid'];
    const made = await create('yearly', '--mode', 'replicated-job', ...flags, 'quick');
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stderr, /job yearly is as it shall be; it runs next at \d{4}-01-01T02:00:00\.000Z/);
    assert.match(await listed('yearly'), /^replicated job 0\/0 \(0\/1 completed, next run in .*\)$/);
    const forced = await shoal('service', 'update', '--force', 'yearly');
    assert.equal(forced.code, 0, forced.stderr);
    assert.match(forced.stderr, /job yearly complete/);
    const paused = await shoal('service', 'update', '--schedule-paused', 'yearly');
    assert.equal(paused.code, 0, paused.stderr);
    assert.equal(await listed('yearly'), 'replicated job 0/0 (1/1 completed, paused)');
  });

  it('refuses by its flag what a job does not take', async () => {
    const flags = ['--update-parallelism', '2', '--rollback-order', 'auto'];
    const wrong = await create('wrong', '--mode', 'replicated-job', ...flags, 'quick');
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /--update-parallelism: "\w+" is not for jobs/);
    assert.match(wrong.stderr, /--rollback-order: "[\w-]+" is not for jobs/);
    const schedule = await create('wrong', '--mode', 'global-job', '--schedule', '61 * * * *', 'quick');
    assert.equal(schedule.code, 2);
    assert.match(schedule.stderr, /--schedule: "61 \* \* \* \*" is not a schedule of five fields/);
    const service = await create('wrong', '--ttl', '1h', 'quick');
    assert.match(service.stderr, /--ttl: "\w+" is for jobs/);
  });
});
