// A cluster in one process and in model time, around the real reconciler and scheduler: agents that do as they are told, meshes that acknowledge,
// nodes that fall silent. Every write group is applied as the store would (compares included), and what must always hold is checked on the way.
import assert from 'node:assert/strict';
import type { Clock } from '../../lib/clock.ts';
import { seededIds } from '../../lib/ids.ts';
import { seededRng } from '../../lib/rng.ts';
import { FirstSeenTimes } from '../../manager/leader/first-seen.ts';
import { reconcileService } from '../../manager/orchestrator/index.ts';
import type { BalanceSource, PlannedWrite, ReconcileContext, WriteGroup } from '../../manager/orchestrator/plan.ts';
import { betterPlace, demandOf, fitsInPlaceOf, Inventory, place } from '../../manager/scheduler/index.ts';
import { activeSpecOf, type ClusterState, specId, specOf, type StateView } from '../../manager/state/index.ts';
import {
  type Availability,
  Cluster,
  Endpoint,
  type Event,
  NodeSession,
  NodeState,
  PortMode,
  RebalanceRequest,
  RouteAcks,
  Service,
  type ServiceSpec,
  StoredSpec,
  type Task,
  TaskState,
  TaskStatus,
} from '../../proto/index.ts';
import { manualClock } from './manual-clock.ts';
import type { ModelLeader } from './model-leader.ts';
import { makeNode, type NodeTraits } from './placement.ts';
import { row } from './state-rows.ts';
import { stateWorld } from './state-world.ts';

/** How a task of this image ends; others run until they are stopped. */
export const FAILING_IMAGE = 'failing';
export const REJECTED_IMAGE = 'rejected';
export const COMPLETING_IMAGE = 'completing';

interface LocalTask {
  state: TaskState;
  ready: boolean;
}

interface ModelNode {
  traits: NodeTraits;
  /** Out of reach: it goes on by itself, and nobody hears of it. */
  isCut: boolean;
  meshDead: boolean;
  readonly tasks: Map<string, LocalTask>;
}

type Reconcile = typeof reconcileService;

export interface ModelOptions {
  readonly seed?: number;
  readonly reconcile?: Reconcile;
  /** New and waiting tasks get their nodes from it; unset: each for itself, by the scheduler alone. */
  readonly placing?: (groups: readonly WriteGroup[], serviceId: string, state: StateView, clock: Clock) => readonly WriteGroup[];
  /** Makes the parts of a leader that remember something, for each one anew; they place, too. Unset: nobody watches over nodes. */
  readonly leader?: (state: ClusterState, clock: Clock) => ModelLeader;
}

export class ReconcileModel {
  readonly world = stateWorld();
  readonly clock = manualClock(1000);
  readonly events: Event[] = [];
  readonly nodes = new Map<string, ModelNode>();
  /** Tasks with open connections: no mesh calls them idle. */
  readonly busy = new Set<string>();
  /** Tasks that do not end, whatever they are told. */
  readonly stuck = new Set<string>();
  /** Tasks whose node was lost at some time: while it was away another may have taken their slot. */
  readonly wasLost = new Set<string>();
  readonly #ids;
  readonly #reconcile: Reconcile;
  readonly #placing: ModelOptions['placing'];
  readonly #makeLeader: ModelOptions['leader'];
  #leader: ModelLeader | undefined;
  #seen = new FirstSeenTimes(this.clock);
  /** Of the wall clock, from the one that runs: it may be set. */
  wallOffsetMs = 0;
  wakeInMs: number | undefined;
  #calm = { sinceMs: this.clock.nowMs(), number: 0 };

  constructor(options: ModelOptions = {}) {
    this.#ids = seededIds(seededRng(options.seed ?? 1));
    this.#reconcile = options.reconcile ?? reconcileService;
    this.#placing = options.placing;
    this.#makeLeader = options.leader;
    this.world.change([row('cluster', '', Cluster.create({ id: 'c', incarnation: 'first', incarnationNumber: 1 }))]);
    this.#leader = options.leader?.(this.state, this.clock);
  }

  get state() {
    return this.world.state;
  }

  /** Another leader takes over: what this one remembers is gone. */
  changeLeader(): void {
    this.#seen = new FirstSeenTimes(this.clock);
    this.#leader?.stop();
    this.#leader = this.#makeLeader?.(this.state, this.clock);
    this.#noteNodes();
  }

  // ------------------------------------------------------------ nodes

  addNode(traits: NodeTraits): void {
    const known = this.nodes.get(traits.id);
    if (known === undefined) this.nodes.set(traits.id, { traits, isCut: false, meshDead: false, tasks: new Map() });
    else known.traits = traits;
    const { node, status } = makeNode({ ...traits, ...(known?.isCut === true ? { state: NodeState.NODE_DOWN } : {}) });
    this.#noteNodes();
    const meshUnready = this.state.get('nodeStatus', traits.id)?.value.meshUnready ?? false;
    this.world.change([
      row('nodes', traits.id, node),
      row('nodeStatus', traits.id, { ...status, meshUnready }),
      row('sessions', traits.id, NodeSession.create({ nodeId: traits.id, nonce: `${traits.id}-1` })),
    ]);
  }

  setAvailability(id: string, availability: Availability): void {
    this.addNode({ ...this.#node(id).traits, availability });
  }

  setLabels(id: string, labels: Readonly<Record<string, string>>): void {
    this.addNode({ ...this.#node(id).traits, labels });
  }

  cut(id: string): void {
    this.#node(id).isCut = true;
    this.#setState(id, NodeState.NODE_DOWN);
  }

  heal(id: string): void {
    this.#node(id).isCut = false;
    this.#setState(id, NodeState.NODE_READY);
  }

  /** The host is gone for good. */
  removeNode(id: string): void {
    this.#noteNodes();
    this.nodes.delete(id);
    this.world.change(
      [],
      [
        ['nodes', id],
        ['nodeStatus', id],
        ['sessions', id],
      ],
    );
  }

  // ------------------------------------------------------------ services

  create(id: string, spec: ServiceSpec): void {
    this.#writeSpec(id, 1, spec);
  }

  update(id: string, change: (spec: ServiceSpec) => ServiceSpec): void {
    const service = this.state.get('services', id)?.value ?? assert.fail(`no service ${id}`);
    this.#writeSpec(id, service.specNumber + 1, change(this.specOf(id)));
  }

  /** As a user asks for it. */
  rollback(id: string, toNumber: number): void {
    const service = this.state.get('services', id)?.value ?? assert.fail(`no service ${id}`);
    const spec = specOf(this.state, id, toNumber) ?? assert.fail(`no spec ${toNumber}`);
    this.#writeSpec(id, service.specNumber + 1, spec, toNumber);
  }

  scale(id: string, replicas: number): void {
    this.update(id, (spec) => ({ ...spec, replicas }));
  }

  /** As a user asks for it. */
  rebalance(id: string): void {
    const specNumber = this.state.get('services', id)?.value.specNumber ?? assert.fail(`no service ${id}`);
    const number = (this.state.get('rebalance', id)?.value.number ?? 0) + 1;
    this.world.change([row('rebalance', id, RebalanceRequest.create({ serviceId: id, number, specNumber }))]);
  }

  remove(id: string): void {
    this.world.change([], [['services', id]]);
  }

  /** As users see it. */
  specOf(id: string): ServiceSpec {
    return activeSpecOf(this.state, id)?.spec ?? assert.fail(`no spec of ${id}`);
  }

  // ------------------------------------------------------------ what is seen

  tasks(serviceId: string): readonly Task[] {
    return [...this.state.tasksOfService(serviceId)].map(({ value }) => value);
  }

  /** Tasks that shall run, and do, with their ports ready, on nodes that answer; "slot@node", sorted. */
  up(serviceId: string): readonly string[] {
    return this.tasks(serviceId)
      .filter((task) => task.desired === TaskState.RUNNING && !task.drain && !task.lost && this.isServing(task))
      .map((task) => `${task.slot > 0 ? `${task.slot}@` : ''}${task.nodeId}`)
      .sort();
  }

  isServing(task: Task): boolean {
    const node = this.nodes.get(task.nodeId);
    const local = node?.tasks.get(task.id);
    return node?.isCut === false && local?.state === TaskState.RUNNING && local.ready;
  }

  noteLost(): void {
    for (const { id, value } of this.state.all('tasks')) {
      if (value.lost || this.nodes.get(value.nodeId)?.isCut === true) this.wasLost.add(id);
    }
  }

  statusOf(taskId: string): TaskState {
    return this.state.get('taskStatus', taskId)?.value.state ?? TaskState.NEW;
  }

  // ------------------------------------------------------------ steps

  /** One pass over all services; true if anything was written. */
  reconcile(): boolean {
    this.wakeInMs = undefined;
    let wrote = false;
    for (let group = this.#leader?.aboutNodes(); group !== undefined; group = this.#leader?.aboutNodes())
      wrote = this.#apply(group) || wrote;
    for (const serviceId of this.#services()) {
      const plan = this.plan(serviceId);
      const groups =
        this.#leader?.place(plan, serviceId) ?? this.#placing?.(plan, serviceId, this.state, this.clock) ?? this.#placed(serviceId, plan);
      for (const group of groups) {
        if (this.#apply(group)) wrote = true;
      }
    }
    this.#wakeIn(this.#leader?.wakeInMs);
    return wrote;
  }

  /** What the reconciler says now, without writing it. */
  plan(serviceId: string): readonly WriteGroup[] {
    this.#seen.begin();
    const nowMs = this.clock.nowMs();
    const wallMs = this.clock.wallMs() + this.wallOffsetMs;
    const context: ReconcileContext = {
      nowMs,
      wallMs,
      ids: this.#ids,
      seen: this.#seen,
      fitsInPlaceOf: (taskId, spec) => fitsInPlaceOf(this.#inventory(), taskId, spec),
      balance: this.#balance(),
    };
    const plan = this.#reconcile(this.state, serviceId, context);
    this.#seen.end(serviceId);
    this.#wakeIn(plan.wakeInMs);
    return plan.groups;
  }

  /** Every agent in reach moves its tasks on by one state; true if any did. */
  stepAgents(): boolean {
    let moved = false;
    for (const [id, node] of this.nodes) {
      if (!node.isCut && this.stepAgent(id)) moved = true;
    }
    return moved;
  }

  stepAgent(nodeId: string): boolean {
    const node = this.#node(nodeId);
    const statuses: TaskStatus[] = [];
    const assigned = new Set<string>();
    for (const { value: task } of this.state.tasksOfNode(nodeId)) {
      if (task.verdict?.state === TaskState.PENDING) continue;
      assigned.add(task.id);
      const local = node.tasks.get(task.id) ?? { state: TaskState.ACCEPTED, ready: false };
      node.tasks.set(task.id, local);
      this.#stepTask(task, local);
      const status = this.#statusRow(task, local);
      const before = this.state.get('taskStatus', task.id)?.value;
      if (before?.state !== status.state || before.endpoints[0]?.ready !== status.endpoints[0]?.ready) statuses.push(status);
    }
    // What is not assigned any more is stopped and forgotten.
    for (const taskId of node.tasks.keys()) {
      if (!assigned.has(taskId)) node.tasks.delete(taskId);
    }
    if (statuses.length > 0) this.world.change(statuses.map((status) => row('taskStatus', status.taskId, status)));
    return statuses.length > 0;
  }

  /** A running task ends by itself. */
  crash(taskId: string): void {
    this.#end(taskId, TaskState.FAILED);
  }

  /** A running task has done its work. */
  complete(taskId: string): void {
    this.#end(taskId, TaskState.COMPLETE);
  }

  #end(taskId: string, state: TaskState): void {
    for (const node of this.nodes.values()) {
      const local = node.tasks.get(taskId);
      if (local !== undefined && local.state < TaskState.COMPLETE) local.state = state;
    }
  }

  /** Every mesh that lives acknowledges what is stored now. */
  acknowledge(): boolean {
    const draining = [...this.state.all('tasks')]
      .filter(({ value }) => value.drain && value.desired <= TaskState.COMPLETE)
      .map(({ id }) => id);
    const before = this.state.get('routeAcks', 'm')?.value;
    if (draining.length === 0) return false;
    const known = new Map(before?.nodes.map((ack) => [ack.nodeId, ack]));
    let changed = false;
    for (const [nodeId, node] of this.nodes) {
      if (node.isCut || node.meshDead) continue;
      const idleTaskIds = draining.filter((id) => !this.busy.has(id)).sort();
      const earlier = known.get(nodeId);
      const newest = Math.max(...draining.map((id) => this.state.get('tasks', id)?.modRevision ?? 0));
      if ((earlier?.epoch?.revision ?? 0) >= newest && earlier?.idleTaskIds.join() === idleTaskIds.join()) continue;
      const epoch = { clusterId: 'c', incarnation: 'first', incarnationNumber: 1, revision: this.state.revision };
      known.set(nodeId, { nodeId, epoch, idleTaskIds });
      changed = true;
    }
    if (changed) this.world.change([row('routeAcks', 'm', RouteAcks.create({ nodes: [...known.values()] }))]);
    return changed;
  }

  /** One round of everybody; true if anything happened. */
  step(): boolean {
    return [this.reconcile(), this.stepAgents(), this.acknowledge()].includes(true);
  }

  /** Until nothing happens any more, without time passing. */
  settle(check: () => void = () => undefined): void {
    for (let round = 0; round < 200; round++) {
      const moved = this.step();
      check();
      if (!moved) return;
    }
    assert.fail('does not come to rest');
  }

  /** Lets time pass, looking again whenever the reconciler asked to. */
  run(ms: number, check: () => void = () => undefined): void {
    const endMs = this.clock.nowMs() + ms;
    this.settle(check);
    while (this.clock.nowMs() < endMs) {
      const leftMs = endMs - this.clock.nowMs();
      this.clock.advance(this.wakeInMs === undefined ? leftMs : Math.min(leftMs, Math.max(1, this.wakeInMs)));
      this.settle(check);
    }
  }

  // ------------------------------------------------------------ inside

  #wakeIn(ms: number | undefined): void {
    if (ms !== undefined) this.wakeInMs = Math.min(this.wakeInMs ?? ms, ms);
  }

  #node(id: string): ModelNode {
    return this.nodes.get(id) ?? assert.fail(`no node ${id}`);
  }

  #services(): ReadonlySet<string> {
    const ids = new Set<string>();
    for (const { id } of this.state.all('services')) ids.add(id);
    for (const { value } of this.state.all('tasks')) ids.add(value.serviceId);
    for (const { value } of this.state.all('specs')) ids.add(value.serviceId);
    return ids;
  }

  #setState(id: string, state: NodeState): void {
    this.#noteNodes();
    const status = this.state.get('nodeStatus', id)?.value ?? assert.fail();
    this.world.change([row('nodeStatus', id, { ...status, state })]);
  }

  #writeSpec(id: string, number: number, spec: ServiceSpec, rollbackTo = 0): void {
    this.world.change([
      row('services', id, Service.create({ id, name: spec.name, specNumber: number })),
      row('specs', specId(id, number), StoredSpec.create({ serviceId: id, number, spec, rollbackTo })),
    ]);
  }

  #stepTask(task: Task, local: LocalTask): void {
    if (local.state >= TaskState.COMPLETE) return;
    if (task.desired >= TaskState.SHUTDOWN) {
      if (!this.stuck.has(task.id)) local.state = TaskState.SHUTDOWN;
      return;
    }
    const spec = specOf(this.state, task.serviceId, task.specNumber);
    const image = spec?.task?.container?.image;
    switch (local.state) {
      case TaskState.ACCEPTED:
        local.state = image === REJECTED_IMAGE ? TaskState.REJECTED : TaskState.READY;
        return;
      case TaskState.READY:
        if (task.desired !== TaskState.RUNNING && task.desired !== TaskState.COMPLETE) return;
        local.state = TaskState.RUNNING;
        local.ready = spec?.ports.every((port) => port.mode !== PortMode.INGRESS) ?? false;
        return;
      case TaskState.RUNNING:
        if (image === FAILING_IMAGE) local.state = TaskState.FAILED;
        else if (image === COMPLETING_IMAGE) local.state = TaskState.COMPLETE;
        else local.ready = true;
        return;
      default:
        return;
    }
  }

  #statusRow(task: Task, local: LocalTask): TaskStatus {
    const ports = specOf(this.state, task.serviceId, task.specNumber)?.ports ?? [];
    const runs = local.state === TaskState.RUNNING;
    const endpoints = runs
      ? ports
          .filter((port) => port.mode === PortMode.INGRESS)
          .map((port) => Endpoint.create({ protocol: port.protocol, targetPort: port.targetPort, ready: local.ready }))
      : [];
    return TaskStatus.create({
      taskId: task.id,
      nodeId: task.nodeId,
      state: local.state,
      endpoints,
      ...(local.state === TaskState.FAILED ? { exitCode: 1, error: 'it broke' } : {}),
      ...(local.state === TaskState.REJECTED ? { error: 'there is no such image' } : {}),
    });
  }

  #noteNodes(): void {
    this.#calm = { sinceMs: this.clock.nowMs(), number: this.#calm.number + 1 };
  }

  #balance(): BalanceSource {
    const nowMs = this.clock.nowMs();
    return {
      betterPlace: (asked) => betterPlace(this.#inventory(), asked, nowMs),
      calmMs: nowMs - this.#calm.sinceMs,
      calmNumber: this.#calm.number,
    };
  }

  #inventory(): Inventory {
    const inventory = new Inventory();
    for (const { id, value } of this.state.all('nodes')) inventory.putNode(value, this.state.get('nodeStatus', id)?.value);
    for (const { id, value } of this.state.all('tasks')) {
      const spec = specOf(this.state, value.serviceId, value.specNumber);
      const isThere = value.nodeId !== '' && value.verdict?.state !== TaskState.PENDING && this.statusOf(id) < TaskState.COMPLETE;
      if (isThere) inventory.putTask(demandOf(value, spec?.task, spec?.ports ?? []));
    }
    return inventory;
  }

  /** As the leader does: new tasks, and those that wait already, get their node in the same transaction. */
  #placed(serviceId: string, groups: readonly WriteGroup[]): readonly WriteGroup[] {
    const inventory = this.#inventory();
    const touched = new Set(groups.flatMap((group) => group.writes.filter(({ table }) => table === 'tasks').map(idOf)));
    const extra = [...this.state.tasksOfService(serviceId)]
      .filter((task) => isWaiting(task.value) && !touched.has(task.id))
      .map((task): WriteGroup => {
        const write: PlannedWrite = { kind: 'put', table: 'tasks', id: task.id, value: task.value, before: task };
        return { serviceId, writes: [write], requires: [], events: [] };
      });
    return [...groups, ...extra].map((group) => ({ ...group, writes: group.writes.map((write) => this.#place(inventory, write)) }));
  }

  #place(inventory: Inventory, write: PlannedWrite): PlannedWrite {
    if (write.kind !== 'put' || write.table !== 'tasks') return write;
    const task = write.value as Task;
    const spec = specOf(this.state, task.serviceId, task.specNumber);
    if (!isWaiting(task) || spec?.task === undefined) return write;
    const fixed = task.nodeId === '' ? {} : { nodeId: task.nodeId };
    const request = {
      taskId: task.id,
      serviceId: task.serviceId,
      specNumber: task.specNumber,
      spec: spec.task,
      ports: spec.ports,
      ...fixed,
    };
    const [result] = place(inventory, [request], this.clock.nowMs());
    const verdict =
      result?.nodeId === undefined
        ? { state: TaskState.PENDING, message: result?.explanation ?? '', sinceUnixMs: 0 }
        : { state: TaskState.ASSIGNED, message: '', sinceUnixMs: 0 };
    const genericResources = result?.nodeId === undefined ? task.genericResources : result.generics;
    return { ...write, value: { ...task, nodeId: result?.nodeId ?? task.nodeId, genericResources, verdict } };
  }

  /** False where nothing changes, or where a compare does not hold. */
  #apply(group: WriteGroup): boolean {
    this.events.push(...group.events);
    for (const { table, id, row: seen } of group.requires) {
      if (this.state.get(table, id)?.modRevision !== seen?.modRevision) return false;
    }
    const writes = group.writes.filter((write) => write.kind === 'delete' || write.before?.value !== write.value);
    if (group.writes.some((write) => this.state.get(write.table, idOf(write))?.modRevision !== beforeOf(write)?.modRevision)) return false;
    const changing = writes.filter((write) => write.kind === 'delete' || !isSame(write.before?.value, write.value));
    for (const write of changing) {
      this.#checkStop(write);
      this.#checkOneShot(write);
    }
    if (changing.length === 0) return false;
    this.world.change(
      changing.flatMap((write) => (write.kind === 'put' ? [row(write.table, write.id, write.value)] : [])),
      changing.flatMap((write) => (write.kind === 'delete' ? [[write.table, write.row.id] as const] : [])),
    );
    return true;
  }

  /** A task keeps its service, spec, slot and node for ever, and no wish is ever taken back; a replacement is another task. */
  #checkOneShot(write: PlannedWrite): void {
    if (write.table !== 'tasks' || write.kind !== 'put') return;
    const before = this.state.get('tasks', write.id)?.value;
    if (before === undefined) return;
    const after = write.value as Task;
    const isSameTask =
      after.serviceId === before.serviceId &&
      after.specNumber === before.specNumber &&
      after.slot === before.slot &&
      after.jobIteration === before.jobIteration;
    assert.ok(isSameTask && (before.nodeId === '' || after.nodeId === before.nodeId), `${after.id} became another task, or moved`);
    assert.ok(after.desired >= before.desired, `${after.id} is wished back from ${before.desired} to ${after.desired}`);
  }

  /** Nobody who may have connections is told to stop before every mesh that counts has heard of it. */
  #checkStop(write: PlannedWrite): void {
    if (write.table !== 'tasks') return;
    const before = this.state.get('tasks', idOf(write));
    const desired = write.kind === 'put' ? (write.value as Task).desired : TaskState.REMOVE;
    if (before === undefined || before.value.desired > TaskState.COMPLETE || desired <= TaskState.COMPLETE) return;
    if (this.state.get('services', before.value.serviceId) === undefined) return;
    const isReady = this.state.get('nodeStatus', before.value.nodeId)?.value.state === NodeState.NODE_READY;
    const status = this.state.get('taskStatus', before.id)?.value;
    if (!isReady || status?.state !== TaskState.RUNNING || !status.endpoints.some(({ ready }) => ready)) return;
    assert.ok(before.value.drain, `${before.id} is stopped without a drain`);
    const acks = this.state.get('routeAcks', 'm')?.value.nodes ?? [];
    for (const { id, value } of this.state.all('nodeStatus')) {
      if (value.state !== NodeState.NODE_READY || value.meshUnready) continue;
      const acked = acks.find(({ nodeId }) => nodeId === id)?.epoch?.revision ?? 0;
      assert.ok(acked >= before.modRevision, `${before.id} is stopped before ${id} has acknowledged its drain`);
    }
  }
}

function isWaiting(task: Task): boolean {
  return task.verdict?.state === TaskState.PENDING && !task.held && task.desired <= TaskState.COMPLETE;
}

function idOf(write: PlannedWrite): string {
  return write.kind === 'put' ? write.id : write.row.id;
}

function beforeOf(write: PlannedWrite): { readonly modRevision: number } | undefined {
  return write.kind === 'put' ? write.before : write.row;
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
