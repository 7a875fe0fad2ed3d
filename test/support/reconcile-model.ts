// A cluster in one process and in model time, around the real reconciler and scheduler, with hosts that may fall silent.
// Every write group is applied as the store would (compares included), and what must always hold is checked on the way.
import assert from 'node:assert/strict';
import type { Clock } from '../../lib/clock.ts';
import { seededIds } from '../../lib/ids.ts';
import { seededRng } from '../../lib/rng.ts';
import { FirstSeenTimes } from '../../manager/leader/first-seen.ts';
import { reconcileService } from '../../manager/orchestrator/index.ts';
import type { BalanceSource, ReconcileContext, WriteGroup } from '../../manager/orchestrator/plan.ts';
import { betterPlace, findsPlace, fitsInPlaceOf } from '../../manager/scheduler/index.ts';
import { activeSpecOf, canaryOf, type ClusterState, specId, specOf } from '../../manager/state/index.ts';
import {
  type Availability,
  Canary,
  Cluster,
  type Event,
  NodeSession,
  NodeState,
  RebalanceRequest,
  Service,
  ServicePause,
  type ServiceSpec,
  StoredSpec,
  type Task,
  TaskState,
} from '../../proto/index.ts';
import { manualClock } from './manual-clock.ts';
import { beforeOf, checkOneShot, checkStop, idOf } from './model-checks.ts';
import { ModelHosts } from './model-hosts.ts';
import type { ModelLeader } from './model-leader.ts';
import { inventoryOf, placed } from './model-placing.ts';
import { makeNode, type NodeTraits } from './placement.ts';
import { row } from './state-rows.ts';
import { stateWorld } from './state-world.ts';

interface SpecWrite {
  readonly rollbackTo?: number;
  readonly canary?: Canary;
  readonly more?: Parameters<ReturnType<typeof stateWorld>['change']>[0];
}

type Reconcile = typeof reconcileService;

export interface ModelOptions {
  readonly seed?: number;
  readonly reconcile?: Reconcile;
  /** Makes the parts of a leader that remember something, for each one anew; they place, too. Unset: nobody watches over nodes. */
  readonly leader?: (state: ClusterState, clock: Clock) => ModelLeader;
}

export class ReconcileModel {
  readonly world = stateWorld();
  readonly hosts = new ModelHosts(this.world);
  readonly clock = manualClock(1000);
  readonly events: Event[] = [];
  /** Tasks whose node was lost at some time: while it was away another may have taken their slot. */
  readonly wasLost = new Set<string>();
  readonly #ids;
  readonly #reconcile: Reconcile;
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
    const known = this.hosts.nodes.get(traits.id);
    if (known === undefined) this.hosts.nodes.set(traits.id, { traits, isCut: false, meshDead: false, tasks: new Map() });
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
    this.addNode({ ...this.hosts.node(id).traits, availability });
  }

  setLabels(id: string, labels: Readonly<Record<string, string>>): void {
    this.addNode({ ...this.hosts.node(id).traits, labels });
  }

  cut(id: string): void {
    this.hosts.node(id).isCut = true;
    this.#setState(id, NodeState.NODE_DOWN);
  }

  heal(id: string): void {
    this.hosts.node(id).isCut = false;
    this.#setState(id, NodeState.NODE_READY);
  }

  /** The host is gone for good. */
  removeNode(id: string): void {
    this.#noteNodes();
    this.hosts.nodes.delete(id);
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
    this.#writeSpec(id, service.specNumber + 1, spec, { rollbackTo: toNumber });
  }

  scale(id: string, replicas: number): void {
    const service = this.#service(id);
    const canary = canaryOf(service, this.state.get('serviceStatus', id)?.value);
    if (canary === undefined) this.update(id, (spec) => ({ ...spec, replicas }));
    else {
      // What is on trial is scaled with the rest.
      const trial = specOf(this.state, id, canary.specNumber) ?? assert.fail('no spec on trial');
      const base = service.specNumber + 1;
      const spec = StoredSpec.create({ serviceId: id, number: base, spec: { ...this.specOf(id), replicas } });
      const kept = { ...(service.canary ?? assert.fail()), baseSpecNumber: base };
      this.#writeSpec(id, base + 1, { ...trial, replicas }, { canary: kept, more: [row('specs', specId(id, base), spec)] });
    }
  }

  /** As a user asks for it: the changed spec is tried beside the present one. */
  canary(id: string, permille: number, change: (spec: ServiceSpec) => ServiceSpec, promoteAfterMs = 0): void {
    const { specNumber, canary: before } = this.#service(id);
    const baseSpecNumber = activeSpecOf(this.state, id)?.number ?? assert.fail(`no spec of ${id}`);
    const canary = Canary.create({ baseSpecNumber, permille, promoteAfterMs, round: (before?.round ?? 0) + 1 });
    this.#writeSpec(id, specNumber + 1, change(this.specOf(id)), { canary });
  }

  /** As a user asks for it: of the canary that is on. */
  changeCanary(id: string, change: Partial<Canary>): void {
    const service = this.#service(id);
    const canary = service.canary ?? assert.fail(`no canary of ${id}`);
    this.world.change([row('services', id, { ...service, canary: { ...canary, round: canary.round + 1, ...change } })]);
  }

  abortCanary(id: string): void {
    this.rollback(id, this.#service(id).canary?.baseSpecNumber ?? assert.fail(`no canary of ${id}`));
  }

  pause(id: string, maxMs: number): void {
    const service = this.#service(id);
    const number = (service.pause?.number ?? 0) + 1;
    this.world.change([row('services', id, { ...service, pause: ServicePause.create({ number, maxMs, on: true }) })]);
  }

  #service(id: string): Service {
    return this.state.get('services', id)?.value ?? assert.fail(`no service ${id}`);
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
    const node = this.hosts.nodes.get(task.nodeId);
    const local = node?.tasks.get(task.id);
    return node?.isCut === false && local?.state === TaskState.RUNNING && local.ready;
  }

  noteLost(): void {
    for (const { id, value } of this.state.all('tasks')) {
      if (value.lost || this.hosts.nodes.get(value.nodeId)?.isCut === true) this.wasLost.add(id);
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
    const leader = this.#leader;
    const services = [...this.#services()];
    if (leader === undefined) {
      for (const id of services) wrote = this.#applyAll(placed(this.state, id, this.plan(id), this.clock.nowMs())) || wrote;
    } else {
      wrote =
        this.#applyAll(
          leader.place(
            services.flatMap((id) => this.plan(id)),
            services,
          ),
        ) || wrote;
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
      fitsInPlaceOf: (taskId, spec) => fitsInPlaceOf(inventoryOf(this.state), taskId, spec),
      findsPlace: (next) => findsPlace(inventoryOf(this.state), next, nowMs),
      balance: this.#balance(),
    };
    const plan = this.#reconcile(this.state, serviceId, context);
    this.#seen.end(serviceId);
    this.#wakeIn(plan.wakeInMs);
    return plan.groups;
  }

  /** One round of everybody; true if anything happened. */
  step(): boolean {
    return [this.reconcile(), this.hosts.stepAgents(), this.hosts.acknowledge()].includes(true);
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

  #writeSpec(id: string, number: number, spec: ServiceSpec, { rollbackTo = 0, canary, more = [] }: SpecWrite = {}): void {
    const pause = this.state.get('services', id)?.value.pause;
    this.world.change([
      row('services', id, Service.create({ id, name: spec.name, specNumber: number, canary, pause })),
      row('specs', specId(id, number), StoredSpec.create({ serviceId: id, number, spec, rollbackTo })),
      ...more,
    ]);
  }

  #noteNodes(): void {
    this.#calm = { sinceMs: this.clock.nowMs(), number: this.#calm.number + 1 };
  }

  #balance(): BalanceSource {
    const nowMs = this.clock.nowMs();
    return {
      betterPlace: (asked) => betterPlace(inventoryOf(this.state), asked, nowMs),
      calmMs: nowMs - this.#calm.sinceMs,
      calmNumber: this.#calm.number,
    };
  }

  #applyAll(groups: readonly WriteGroup[]): boolean {
    return groups.map((group) => this.#apply(group)).includes(true);
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
      checkStop(this.state, write);
      checkOneShot(this.state, write);
    }
    if (changing.length === 0) return false;
    this.world.change(
      changing.flatMap((write) => (write.kind === 'put' ? [row(write.table, write.id, write.value)] : [])),
      changing.flatMap((write) => (write.kind === 'delete' ? [[write.table, write.row.id] as const] : [])),
    );
    return true;
  }
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
