// Placements per second, from waiting tasks in the typed cluster state to their writes in an in-memory store: the leader's own way (place, then
// transactions with the fence, a compare for every row, and the state that follows), without its waiting for anything.
//   node --import tsx test/bench/scheduler/placement.ts [runs]
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { demandOf, Inventory, place, type PlacementRequest } from '../../../manager/scheduler/index.ts';
import { ClusterState, commitTo, keyOf, type Row, specId, specOf, TransactionBuilder } from '../../../manager/state/index.ts';
import { openMemoryStore } from '../../../manager/store/memory.ts';
import type { Op, Store } from '../../../manager/store/store.ts';
import { ManagerLiveness, ServiceSpec, StoredSpec, Task, TaskState } from '../../../proto/index.ts';
import { Node, NodeStatus } from '../../../proto/index.ts';
import { makeNode, taskSpec } from '../../support/placement.ts';

interface Shape {
  readonly tasks: number;
  readonly nodes: number;
  readonly targetS?: { readonly one: number; readonly separate: number };
  /** Which of the nodes each service asks for. Unset: one of two zones, in turn. */
  readonly asksFor?: 'all' | 'a third';
}

const SHAPES: readonly Shape[] = [
  { tasks: 1000, nodes: 1000 },
  { tasks: 10_000, nodes: 1000 },
  { tasks: 100_000, nodes: 1000, targetS: { one: 0.5, separate: 1.5 } },
  { tasks: 100_000, nodes: 100_000, targetS: { one: 2, separate: 2 } },
  // Throughput with constraints: at least half of that without.
  { tasks: 100_000, nodes: 1000, asksFor: 'all' },
  { tasks: 100_000, nodes: 1000, asksFor: 'a third' },
];
const OPS_PER_TRANSACTION = 120;
const IN_FLIGHT = 16;

interface Setting {
  readonly state: ClusterState;
  readonly store: Store;
}

/** A reservation on every service; more than enough room. */
async function prepare({ tasks, nodes, asksFor }: Shape, isSeparate: boolean): Promise<Setting> {
  const state = new ClusterState(systemClock, silentLogger);
  const store = openMemoryStore();
  const ops: Op[] = [{ type: 'put', key: keyOf('leader', ''), value: ManagerLiveness.encode(ManagerLiveness.create({ managerId: 'm' })) }];
  const perNode = Math.ceil(tasks / nodes);
  for (let n = 0; n < nodes; n++) {
    const id = `node${n}`;
    const { node, status } = makeNode({
      id,
      cpus: 4 * perNode,
      gib: 4 * perNode,
      labels: { zone: n % 2 === 0 ? 'a' : 'b', disk: n % 3 === 0 ? 'ssd' : 'hdd' },
    });
    ops.push({ type: 'put', key: keyOf('nodes', id), value: Node.encode(node) });
    ops.push({ type: 'put', key: keyOf('nodeStatus', id), value: NodeStatus.encode(status) });
  }
  for (let n = 0; n < tasks; n++) {
    const serviceId = isSeparate ? `service${n}` : 'service';
    if (isSeparate || n === 0) {
      const task = taskSpec({ cpus: 0.5, gib: 0.25, constraints: constraintsOf(asksFor, n) });
      const spec = ServiceSpec.create({ name: serviceId, replicas: isSeparate ? 1 : tasks, task });
      ops.push({
        type: 'put',
        key: keyOf('specs', specId(serviceId, 1)),
        value: StoredSpec.encode(StoredSpec.create({ serviceId, number: 1, spec })),
      });
    }
    const task = Task.create({
      id: `task${n}`,
      serviceId,
      specNumber: 1,
      slot: isSeparate ? 1 : n + 1,
      desired: TaskState.RUNNING,
      verdict: { state: TaskState.PENDING, message: '', sinceUnixMs: 1 },
    });
    ops.push({ type: 'put', key: keyOf('tasks', task.id), value: Task.encode(task) });
  }
  for (let at = 0; at < ops.length; at += OPS_PER_TRANSACTION) {
    await store.commit({ compare: [], ops: ops.slice(at, at + OPS_PER_TRANSACTION) });
  }
  const snapshot = await store.snapshot('');
  state.applySnapshot(snapshot.revision, snapshot.items);
  return { state, store };
}

function constraintsOf(asksFor: Shape['asksFor'], service: number): readonly string[] {
  switch (asksFor) {
    case 'all':
      return [];
    case 'a third':
      return ['node.labels.disk==ssd'];
    case undefined:
      return [`node.labels.zone==${service % 2 === 0 ? 'a' : 'b'}`];
  }
}

interface Times {
  /** Processor time of the whole process: what a busy machine does not blur. */
  readonly cpuMs: number;
  readonly feedMs: number;
  readonly placeMs: number;
  readonly writeMs: number;
}

/** What a leader that takes over does: fill its inventory, place all that wait, write it down. */
async function placeAll({ state, store }: Setting): Promise<Times> {
  const startedMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const inventory = new Inventory();
  for (const { id, value } of state.all('nodes')) inventory.putNode(value, state.get('nodeStatus', id)?.value);
  const waiting: { readonly row: Row<Task>; readonly request: PlacementRequest }[] = [];
  for (const row of state.all('tasks')) {
    const task = row.value;
    const spec = specOf(state, task.serviceId, task.specNumber);
    if (spec?.task === undefined) continue;
    if (task.verdict?.state !== TaskState.PENDING) inventory.putTask(demandOf(task, spec.task, spec.ports));
    else
      waiting.push({
        row,
        request: { taskId: row.id, serviceId: task.serviceId, specNumber: task.specNumber, spec: spec.task, ports: spec.ports },
      });
  }
  const fedMs = performance.now();
  const results = place(
    inventory,
    waiting.map(({ request }) => request),
    startedMs,
  );
  const placedMs = performance.now();
  await write(
    { state, store },
    waiting.flatMap(({ row }, index) => ({ row, nodeId: results[index]?.nodeId ?? fail(results[index]?.explanation) })),
  );
  const writtenMs = performance.now();
  const { user, system } = process.cpuUsage(cpuBefore);
  return { cpuMs: (user + system) / 1000, feedMs: fedMs - startedMs, placeMs: placedMs - fedMs, writeMs: writtenMs - placedMs };
}

async function write({ state, store }: Setting, placed: readonly { readonly row: Row<Task>; readonly nodeId: string }[]): Promise<void> {
  const leader = state.get('leader', '') ?? fail('no leader');
  const wallMs = Date.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < placed.length) {
      const builder = new TransactionBuilder().fence('leader', '', leader.createRevision);
      for (const { row, nodeId } of placed.slice(next, (next += OPS_PER_TRANSACTION))) {
        builder.put(
          'tasks',
          row.id,
          { ...row.value, nodeId, verdict: { state: TaskState.ASSIGNED, message: '', sinceUnixMs: wallMs } },
          row,
        );
      }
      const result = await commitTo(store, state, builder);
      if (!result.committed) fail('conflict');
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

function fail(why: string | undefined): never {
  throw new Error(why ?? 'not placed');
}

// What one run leaves behind is not the next one's work.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function main(): Promise<void> {
  const runs = Number(process.argv[2] ?? 3);
  console.log(
    '| shape | services | total | of it: feed, place, write | processor time | placements/s | target |\n|---|---|---|---|---|---|---|',
  );
  for (const shape of SHAPES) {
    for (const isSeparate of [false, true]) {
      const all: Times[] = [];
      for (let run = 0; run < runs; run++) {
        const setting = await prepare(shape, isSeparate);
        collectGarbage();
        all.push(await placeAll(setting));
        await setting.store.close();
      }
      all.sort((one, other) => totalMs(one) - totalMs(other));
      const median = all[all.length >> 1] ?? fail('no runs');
      const total = totalMs(median);
      const target = isSeparate ? shape.targetS?.separate : shape.targetS?.one;
      console.log(
        `| ${shape.tasks} on ${shape.asksFor === 'all' ? '' : `${shape.asksFor ?? 'half'} of `}${shape.nodes} | ${isSeparate ? 'one per task' : 'one'} | ${seconds(total)} | ` +
          `${seconds(median.feedMs)}, ${seconds(median.placeMs)}, ${seconds(median.writeMs)} | ` +
          `${seconds(median.cpuMs)} | ${Math.round((shape.tasks / total) * 1000)} | ${target === undefined ? '-' : `< ${target} s`} |`,
      );
    }
  }
}

function totalMs({ feedMs, placeMs, writeMs }: Times): number {
  return feedMs + placeMs + writeMs;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}

await main();
