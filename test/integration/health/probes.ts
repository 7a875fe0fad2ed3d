// All kinds of probes against a real server in a real task: healthy, failing and hanging. Called by one test file per runtime.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseProbe } from '../../../cli/service/spec/probes.ts';
import { systemIds } from '../../../lib/ids.ts';
import { Assignment, type ContainerSpec, type Probe, Probes, TaskSpec, TaskState, TaskStatus } from '../../../proto/index.ts';
import { publish } from '../../support/service-specs.ts';
import { until } from '../../support/until.ts';
import type { WorkerArguments } from './worker-process.ts';

export const SERVER = join(import.meta.dirname, '..', '..', 'support', 'probed-server.mjs');
const WORKER = join(import.meta.dirname, 'worker-process.ts');
export const [HTTP, GRPC, TCP] = [8080, 8081, 8082];
/** Found again among the processes of this machine. */
const HANG = `sleep 98${String(process.pid)}`;
const FAST = 'interval=200ms,timeout=1s,failures=2';

type Mode = 'healthy' | 'failing' | 'hanging';

export interface Place {
  readonly socketPath: string;
  readonly dataAddress: string;
  readonly container: ContainerSpec;
  /** Of a file on this machine, as the task's commands see it. */
  inTask(path: string): string;
  spawn(command: string, args: readonly string[]): ChildProcess;
}

export function probes(place: (file: string) => Place): void {
  let directory: string;
  let file: string;
  let here: Place;
  let worker: ChildProcess | undefined;
  let assignment: Assignment;
  let seen: TaskStatus[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'shoal-probes-'));
    file = join(directory, 'mode');
    here = place(file);
    seen = [];
  });
  afterEach(async () => {
    await end('SIGINT');
    rmSync(directory, { recursive: true, force: true });
  });

  const become = (mode: Mode): void => {
    writeFileSync(file, mode);
  };
  const assign = (given: Partial<Probes>): void => {
    assignment = Assignment.create({
      taskId: systemIds.next(),
      taskName: 'web.1',
      desired: TaskState.RUNNING,
      spec: TaskSpec.create({ container: here.container, probes: Probes.create(given) }),
      ports: [publish(80, HTTP), publish(81, GRPC), publish(82, TCP)],
    });
  };
  /** The agent's worker, anew on the same folder after `end`. */
  const begin = (): void => {
    const given: WorkerArguments = { dataDir: directory, dataAddress: here.dataAddress, socketPath: here.socketPath, assignment };
    worker = here.spawn(process.execPath, ['--import', 'tsx', WORKER, JSON.stringify(given)]);
    const { stdout } = worker;
    assert.ok(stdout !== null);
    createInterface({ input: stdout }).on('line', (line) => seen.push(TaskStatus.create(JSON.parse(line) as TaskStatus)));
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (worker === undefined || worker.exitCode !== null || worker.signalCode !== null) return;
    const exited = once(worker, 'exit');
    worker.kill(signal);
    await exited;
    worker = undefined;
  };
  const reaches = (what: string, condition: (status: TaskStatus) => boolean): Promise<void> =>
    until(
      () => seen.some((_, index) => index === seen.length - 1 && condition(seen.at(-1) ?? TaskStatus.create())),
      () => `${what}; the task is ${JSON.stringify(seen.at(-1))}`,
      30_000,
    );
  const ready = (status: TaskStatus): boolean => status.state === TaskState.RUNNING && status.readiness?.ready === true;
  const unready =
    (reason: RegExp) =>
    (status: TaskStatus): boolean =>
      status.state === TaskState.RUNNING && status.readiness?.ready === false && reason.test(status.readiness.reason);
  const routedPorts = (): readonly number[] => (seen.at(-1)?.endpoints ?? []).filter((port) => port.ready).map((port) => port.targetPort);
  const probe = (text: string, kind: 'readiness' | 'liveness' | 'startup' = 'readiness'): Probe => {
    const parsed = parseProbe(`${text},${FAST}`, kind);
    if (typeof parsed === 'string') throw new Error(parsed);
    return parsed;
  };
  const http = `http:${HTTP}/ready,host=web.example,header=X-Probe:yes`;
  const exec = (): string => {
    const path = here.inTask(file);
    return `exec:case "$(cat ${path})" in healthy) exit 0;; hanging) ${HANG}; exit 0;; *) echo no luck >&2; exit 3;; esac`;
  };

  const kinds: readonly (readonly [name: string, text: () => string, failing: RegExp, hanging: RegExp | undefined])[] = [
    ['http', () => http, /^GET http:\/\/[\d.:]+\/ready: 503 Service Unavailable$/, /^GET .*: no answer within 1s$/],
    ['grpc', () => `grpc:${GRPC}/db`, /^grpc health of db at [\d.:]+: NOT_SERVING$/, /^grpc health .*: no answer within 1s$/],
    ['exec', exec, /^exec: exit code 3: no luck$/, /^exec: (no answer within 1s|the command of an earlier try has not ended yet)$/],
    ['tcp', () => `tcp:${TCP}`, /^tcp [\d.:]+: connection refused$/, undefined],
  ];
  for (const [name, text, failing, hanging] of kinds) {
    it(`${name}: moves traffic with its answers, and the task goes on`, async () => {
      become('failing');
      assign({ readiness: probe(text()) });
      begin();
      await reaches('not ready', unready(failing));
      assert.deepEqual(routedPorts(), []);
      become('healthy');
      await reaches('ready', ready);
      await until(() => routedPorts().length === 3, 'every port routed');
      become(hanging === undefined ? 'failing' : 'hanging');
      await reaches('not ready', unready(hanging ?? failing));
      assert.deepEqual(routedPorts(), []);
      become('healthy');
      await reaches('ready again', ready);
      assert.ok(seen.every((status) => status.state <= TaskState.RUNNING));
    });
  }

  it('leaves no command behind that hung', async () => {
    become('healthy');
    assign({ readiness: probe(exec()) });
    begin();
    await reaches('ready', ready);
    become('hanging');
    await reaches('not ready', unready(/./));
    await until(() => hung() > 0, 'a command that hangs');
    assert.ok(hung() <= 2, 'one at a time, each a shell and its child');
    become('healthy');
    await reaches('ready again', ready);
    await until(() => hung() === 0, 'no command of a probe is left');
  });

  it('fails a task whose liveness probe hangs, with the reason', async () => {
    become('healthy');
    assign({ startup: { ...probe(http, 'startup'), failures: 100 }, liveness: probe(http, 'liveness') });
    begin();
    await reaches('running', (status) => status.state === TaskState.RUNNING && status.endpoints.some((port) => port.ready));
    become('hanging');
    await reaches('failed', (status) => status.state === TaskState.FAILED);
    assert.match(seen.at(-1)?.error ?? '', /^its liveness probe failed 2 times: GET http:.*: no answer within 1s$/);
  });

  it('keeps a task STARTING until its start-up probe passes; the other probes wait', async () => {
    become('failing');
    const startup = { ...probe(http, 'startup'), failures: 100 };
    assign({ startup, liveness: probe(http, 'liveness'), readiness: probe(http) });
    begin();
    await reaches('what it waits for', ({ state, message }) => state === TaskState.STARTING && /start-up probe: GET .*503/.test(message));
    become('healthy');
    await reaches('ready', ready);
  });

  it('fails a task that does not come up', async () => {
    become('failing');
    assign({ startup: probe(`grpc:${GRPC}/db`, 'startup') });
    begin();
    await reaches('failed', (status) => status.state === TaskState.FAILED);
    assert.match(seen.at(-1)?.error ?? '', /^its start-up probe failed 2 times: grpc health of db at /);
    assert.ok(seen.every((status) => status.state !== TaskState.RUNNING));
  });

  it('keeps the readiness of a running task over a restart of the agent, until it is asked again', async () => {
    become('healthy');
    assign({ readiness: probe(http) });
    begin();
    await until(() => ready(seen.at(-1) ?? TaskStatus.create()) && routedPorts().length === 3, 'ready, with every port', 30_000);
    const before = seen.at(-1);
    await end('SIGTERM');
    become('failing');
    seen = [];
    begin();
    await reaches('not ready', unready(/503/));
    const [first] = seen;
    assert.deepEqual([first?.state, first?.endpoints, first?.readiness], [before?.state, before?.endpoints, before?.readiness]);
  });
}

/** Commands of probes that hang on this machine, in whichever namespace. */
function hung(): number {
  const isHung = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() === HANG;
    } catch {
      return false;
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isHung(name)).length;
}
