// A change played through on a copy of the state: the real reconciler and scheduler decide, and everything else goes well. Tasks start when they are
// told to and stay up, meshes acknowledge at once and have no connections, time passes as fast as the reconciler asks for it. Services that lose tasks
// to it (preemption) are played along from then on, and those that wait for room all the time: what becomes free may go to them.
import type { Clock } from '../../lib/clock.ts';
import type { Ids } from '../../lib/ids.ts';
import { Endpoint, NodeState, PortMode, RouteAcks, type Task, TaskState, TaskStatus, UpdateState } from '../../proto/index.ts';
import { FirstSeenTimes } from '../leader/first-seen.ts';
import { InventoryFeed } from '../leader/inventory-feed.ts';
import { isWaiting, placeWaiting } from '../leader/placer.ts';
import type { BetterPlaceRequest, PlannedPut, PlannedWrite, ReconcileContext, WriteGroup } from '../orchestrator/plan.ts';
import { reconcileService } from '../orchestrator/index.ts';
import { slotKeyOf } from '../orchestrator/slot.ts';
import type { TaskInfo } from '../orchestrator/task-info.ts';
import { betterPlace, findsPlace, fitsInPlaceOf } from '../scheduler/index.ts';
import { type Row, specOf, type StateView } from '../state/index.ts';
import { holdersOf } from './planned-tasks.ts';
import { type ScratchClock, scratchClock, scratchOf, type ScratchState, type ScratchWrite, scratchWrites } from './scratch-state.ts';

/** Ends a play that would go on for ever, such as one whose tasks chase one another. */
const MAX_ROUNDS = 20_000;
const ACKS_ID = 'rehearsal';

export class Rehearsal {
  /** By slot, before the change. */
  readonly before: ReadonlyMap<string, TaskInfo>;
  /** Tasks of other services that leave to make room, by the slot that each is in: as they were when that was decided. */
  readonly displaced = new Map<string, Task>();
  readonly #serviceId: string;
  /** Those that the change is about: the service, and whoever loses tasks to it. */
  readonly #concerned: Set<string>;
  /** Those that are played. */
  readonly #services: Set<string>;
  readonly #ids: Ids;
  readonly #clock: ScratchClock;
  readonly #scratch: ScratchState;
  readonly #seen: FirstSeenTimes;
  readonly #feed: InventoryFeed;
  #rounds = 0;
  #isOver = false;

  /** `change`: the rows that the change would write. */
  constructor(view: StateView, serviceId: string, change: readonly ScratchWrite[], tools: { readonly clock: Clock; readonly ids: Ids }) {
    this.#serviceId = serviceId;
    this.#concerned = new Set([serviceId]);
    this.#ids = tools.ids;
    this.#clock = scratchClock(tools.clock);
    this.#scratch = scratchOf(view, this.#clock);
    this.before = holdersOf(this.#scratch.state, serviceId);
    this.#scratch.write(change);
    this.#services = new Set([serviceId, ...waitingServices(this.#scratch.state)]);
    this.#seen = new FirstSeenTimes(this.#clock);
    this.#feed = new InventoryFeed(this.#scratch.state, this.#clock);
    this.#scratch.state.subscribe((changes) => {
      this.#feed.note(changes);
    });
  }

  get state(): StateView {
    return this.#scratch.state;
  }

  /** Nothing would happen any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** One round; false when it is over, or goes on for too long. Costs a pass over the service's tasks. */
  step(): boolean {
    if (this.#isOver || this.#rounds++ >= MAX_ROUNDS) return false;
    const decided = this.#decide();
    if (decided === undefined) {
      this.#isOver = true;
      return false;
    }
    const { wrote, wakeInMs } = decided;
    const moved = this.#stepAgents();
    const acknowledged = this.#acknowledge();
    if (wrote || moved || acknowledged) return true;
    if (wakeInMs === undefined) this.#isOver = true;
    else this.#clock.advance(Math.max(1, wakeInMs));
    return !this.#isOver;
  }

  /** Undefined: the update would fail. */
  #decide(): { readonly wrote: boolean; readonly wakeInMs: number | undefined } | undefined {
    const { state } = this.#scratch;
    const nowMs = this.#clock.nowMs();
    // What a service does by itself when nodes have come to rest is no part of the change.
    const balance = {
      betterPlace: (asked: BetterPlaceRequest) => betterPlace(this.#feed.inventory, asked, nowMs),
      calmMs: undefined,
      calmNumber: 0,
    };
    const context: ReconcileContext = {
      nowMs,
      wallMs: this.#clock.wallMs(),
      ids: this.#ids,
      seen: this.#seen,
      fitsInPlaceOf: (taskId, spec) => fitsInPlaceOf(this.#feed.inventory, taskId, spec),
      findsPlace: (next) => findsPlace(this.#feed.inventory, next, nowMs),
      balance,
    };
    const groups: WriteGroup[] = [];
    const services = [...this.#services];
    let wakeInMs: number | undefined;
    for (const serviceId of services) {
      this.#seen.begin();
      const plan = reconcileService(state, serviceId, context);
      this.#seen.end(serviceId);
      groups.push(...plan.groups);
      // For what the others would do some day nobody waits.
      if (plan.wakeInMs === undefined || !this.#concerned.has(serviceId) || this.#isIdleJob(serviceId)) continue;
      wakeInMs = Math.min(wakeInMs ?? plan.wakeInMs, plan.wakeInMs);
    }
    if (groups.some(({ serviceId, writes }) => serviceId === this.#serviceId && writes.some(isSetback))) return undefined;
    const placed = placeWaiting(groups, services, state, this.#feed, this.#clock);
    const planned = placed.groups.flatMap((group) => group.writes);
    this.#noteDisplaced(planned);
    const writes = scratchWrites(planned);
    if (writes.length > 0) this.#scratch.write(writes);
    for (const taskId of placed.assumed) this.#feed.feedTask(taskId);
    return { wrote: writes.length > 0, wakeInMs };
  }

  #noteDisplaced(writes: readonly PlannedWrite[]): void {
    for (const write of writes) {
      if (write.kind === 'delete' || write.table !== 'tasks') continue;
      const { before, value } = write as PlannedPut<'tasks'>;
      if (before === undefined || before.value.preempted !== '' || value.preempted === '') continue;
      this.#concerned.add(value.serviceId);
      this.#services.add(value.serviceId);
      const slot = `${value.serviceId}/${slotKeyOf(value)}`;
      if (value.serviceId !== this.#serviceId && !this.displaced.has(slot)) this.displaced.set(slot, value);
    }
  }

  /** What a job still waits for is its schedule, its deadline, or the end of its time to live: none of that belongs to the change. */
  #isIdleJob(serviceId: string): boolean {
    const { state } = this.#scratch;
    if (state.get('serviceStatus', serviceId)?.value.job === undefined) return false;
    return ![...state.tasksOfService(serviceId)].some(({ value }) => value.desired === TaskState.READY);
  }

  #rows(): readonly Row<Task>[] {
    return [...this.#services].flatMap((serviceId) => [...this.#scratch.state.tasksOfService(serviceId)]);
  }

  #stepAgents(): boolean {
    const { state } = this.#scratch;
    const writes: ScratchWrite<'taskStatus'>[] = [];
    for (const { value: task } of this.#rows()) {
      const isPlaced = task.nodeId !== '' && task.verdict?.state !== TaskState.PENDING;
      if (!isPlaced || state.get('nodeStatus', task.nodeId)?.value.state !== NodeState.NODE_READY) continue;
      const next = this.#nextStatus(task);
      if (next !== undefined) writes.push({ table: 'taskStatus', id: task.id, value: next });
    }
    if (writes.length > 0) this.#scratch.write(writes);
    return writes.length > 0;
  }

  /** One step at a time: prepared, running, ready for connections. Undefined: it stays as it is. */
  #nextStatus(task: Task): TaskStatus | undefined {
    const { state } = this.#scratch;
    const before = state.get('taskStatus', task.id)?.value;
    const next = nextState(before?.state ?? TaskState.ASSIGNED, task.desired);
    if (next === undefined) return undefined;
    // When a job ends that is not the one that is planned, nobody knows.
    if (next === TaskState.COMPLETE && task.serviceId !== this.#serviceId) return undefined;
    const ports = next === TaskState.RUNNING ? (specOf(state, task.serviceId, task.specNumber)?.ports ?? []) : [];
    const ready = before?.state === TaskState.RUNNING;
    const endpoints = ports
      .filter(({ mode }) => mode === PortMode.INGRESS)
      .map(({ protocol, targetPort }) => Endpoint.create({ protocol, targetPort, ready }));
    if (before?.state === next && before.endpoints.filter((endpoint) => endpoint.ready).length >= endpoints.length) return undefined;
    return TaskStatus.create({ taskId: task.id, nodeId: task.nodeId, state: next, sinceUnixMs: this.#clock.wallMs(), endpoints });
  }

  #acknowledge(): boolean {
    const { state } = this.#scratch;
    const draining = this.#rows().filter(({ value }) => value.drain && value.desired <= TaskState.COMPLETE);
    const newest = Math.max(0, ...draining.map(({ modRevision }) => modRevision));
    const acked = state.get('routeAcks', ACKS_ID)?.value.nodes[0]?.epoch?.revision ?? 0;
    if (draining.length === 0 || acked >= newest) return false;
    const incarnation = state.get('cluster', '')?.value.incarnation ?? '';
    const epoch = { clusterId: '', incarnation, incarnationNumber: 0, revision: state.revision };
    const idleTaskIds = draining.map(({ id }) => id);
    const nodes = [...state.all('nodeStatus')].map(({ id }) => ({ nodeId: id, epoch, idleTaskIds }));
    this.#scratch.write([{ table: 'routeAcks', id: ACKS_ID, value: RouteAcks.create({ nodes }) }]);
    return true;
  }
}

/** Whatever becomes free may go to them; or they are making room already. */
function waitingServices(state: StateView): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { value } of state.all('tasks')) {
    if (isWaiting(value) || (value.preempted !== '' && value.desired <= TaskState.COMPLETE)) found.add(value.serviceId);
  }
  return found;
}

/** The update fails. Here that is the progress deadline of what finds no node: how it is undone is no part of the change that was asked for. */
function isSetback(write: PlannedWrite): boolean {
  if (write.kind === 'delete' || write.table !== 'serviceStatus') return false;
  const { before, value } = write as PlannedPut<'serviceStatus'>;
  const [was, is] = [before?.value.update?.state, value.update?.state];
  if (before?.value.seenSpecNumber !== value.seenSpecNumber || was === is) return false;
  return (
    is === UpdateState.UPDATE_PAUSED ||
    is === UpdateState.ROLLBACK_PAUSED ||
    (was === UpdateState.UPDATING && is === UpdateState.ROLLBACK_STARTED)
  );
}

/** Undefined: it has ended, or is not to go further. */
function nextState(state: TaskState, desired: TaskState): TaskState | undefined {
  if (state >= TaskState.COMPLETE) return undefined;
  if (desired >= TaskState.SHUTDOWN) return TaskState.SHUTDOWN;
  // Accepting takes no time of its own: with a round for it, old tasks would be gone before new ones are up, and other places free.
  if (state < TaskState.READY) return TaskState.READY;
  if (desired <= TaskState.READY) return undefined;
  // A job's task ends well once it runs.
  return state === TaskState.RUNNING && desired === TaskState.COMPLETE ? TaskState.COMPLETE : TaskState.RUNNING;
}
