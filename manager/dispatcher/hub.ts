// What all sessions of this manager have in common: who holds which node, who is silent, and the state's changes, passed on to whom they concern.
import { adaptiveWindow, type AdaptiveWindow, type WindowBounds } from '../../lib/adaptive-window.ts';
import { ShoalError } from '../../lib/errors.ts';
import { rareLog } from '../../lib/rare-log.ts';
import { startSteadyTime, type SteadyTime } from '../../lib/steady-time.ts';
import { type Cluster, type OpenStream, TaskState } from '../../proto/index.ts';
import type { Change } from '../state/index.ts';
import type { Revision } from '../store/store.ts';
import type { SessionCall } from './agent-stream.ts';
import type { DispatcherOptions } from './dispatcher.ts';
import { epochAt } from './epochs.ts';
import { FencedWriter } from './fenced-writer.ts';
import { Liveness } from './liveness.ts';
import type { DispatcherMetrics } from './metrics.ts';
import { nodeQuiet, nodeSilent, onRow } from './node-changes.ts';
import { NodeStreams } from './node-streams.ts';
import { registerNode, removed, superseded } from './registration.ts';
import { RevisionGate } from './revision-gate.ts';
import { RouteAckBook } from './route-acks.ts';
import { RouteFeed } from './route-feed.ts';
import { Session } from './session.ts';
import type { SessionServices } from './session-services.ts';
import { DEFAULT_SETTINGS, type DispatcherSettings, fanOutWindow, nodeDownAfterMs, STALL_MS } from './settings.ts';
import type { TaskStream } from './task-streams.ts';

/** Of one kind in ten seconds: enough for many agents with the same trouble. */
const MAX_WARNINGS = 50;

export class Hub {
  readonly settings: DispatcherSettings;
  /** Of logs and exec, towards any node. */
  readonly streams: NodeStreams;
  readonly #options: DispatcherOptions;
  readonly #services: SessionServices;
  readonly #liveness: Liveness;
  readonly #time: SteadyTime;
  readonly #gate = new RevisionGate();
  /** All streams, registered or not. */
  readonly #streams = new Set<Session>();
  /** Those that have not said who they are, oldest first. */
  readonly #silent = new Set<Session>();
  readonly #byNode = new Map<string, Session>();
  readonly #unsubscribe: () => void;
  #managers: readonly string[] | undefined;
  #aheadRevision: Revision = 0;
  #history: string;

  constructor(options: DispatcherOptions, metrics: DispatcherMetrics) {
    const { store, state, clock, rng, ids, log, managerId } = options;
    const settings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.#options = options;
    this.settings = settings;
    const window =
      (bounds: WindowBounds) =>
      (flush: () => void): AdaptiveWindow =>
        adaptiveWindow(clock, bounds, flush);
    const forAll = (bounds: WindowBounds): WindowBounds => fanOutWindow(bounds, () => this.#byNode.size);
    this.#time = startSteadyTime({
      clock,
      tickMs: settings.tickMs,
      stallMs: STALL_MS,
      onTick: (stalled, lagMs) => {
        metrics.eventLoopLag.observe(lagMs / 1000);
        metrics.waitingRows.set(this.#services.writer.waiting);
        this.#tick(stalled);
      },
    });
    this.#liveness = new Liveness(
      () => this.#time.nowMs(),
      () => this.#downAfterMs(),
    );
    const routes = new RouteFeed({
      state,
      gate: this.#gate,
      epochAt: (revision) => epochAt(this.#cluster(), revision),
      window: window(forAll(settings.routeWindow)),
    });
    this.#services = {
      state,
      managerId,
      clock,
      rng,
      log,
      warnRarely: rareLog(log, clock, { perPeriod: MAX_WARNINGS }),
      settings,
      metrics,
      routes,
      gate: this.#gate,
      writer: new FencedWriter({
        ...{ store, state, clock, rng, ids, log },
        window: window(settings.writeWindow),
        onCommit: (rows) => {
          metrics.batchRows.observe(rows);
        },
        onFenced: () => {
          metrics.fenced.inc();
        },
      }),
      acks: new RouteAckBook({
        ...{ store, state, managerId, clock, rng, log },
        lingerMs: settings.ackRowLingerMs,
        window: window(forAll(settings.ackWindow)),
        draining: () => routes.index.draining,
      }),
      steadyNowMs: () => this.#time.nowMs(),
      storeReachable: () => store.reachable(),
      managers: () => this.#managerAddresses(),
      aheadRevision: () => this.#aheadRevision,
      register: (register, wanted) =>
        registerNode(
          { ...options, catchUpMs: settings.catchUpMs, heardLately: (nodeId) => this.#liveness.fresh(nodeId), wanted },
          register,
        ),
      spoke: (session) => {
        this.#silent.delete(session);
      },
      opened: (session) => {
        this.#opened(session);
      },
      ended: (session) => {
        this.#ended(session);
      },
      heard: (nodeId) => {
        this.#heard(nodeId);
      },
    };
    this.streams = new NodeStreams(options, settings, {
      ask: (nodeId, request) => this.#byNode.get(nodeId)?.openStream(request),
      onCount: (open) => {
        metrics.taskStreams.set(open);
      },
    });
    this.#history = this.#historyName();
    this.#unsubscribe = state.subscribe((changes, revision) => {
      this.#stateChanged(changes, revision);
    });
    // Sessions of an earlier life of this manager: nobody else judges their nodes.
    for (const { id } of state.all('sessions')) this.#sessionRowChanged(id);
    this.#services.acks.drainsChanged();
  }

  get sessionCount(): number {
    return this.#byNode.size;
  }

  accept(call: SessionCall): void {
    // An agent says who it is at once: streams that say nothing must not keep it out.
    const [oldest] = this.#silent;
    if (oldest !== undefined && this.#silent.size >= this.settings.maxSilent) {
      oldest.end(
        new ShoalError('resource_exhausted', `more than ${this.settings.maxSilent} streams have not registered; this one made room`),
      );
    }
    if (this.#streams.size >= this.settings.maxSessions) {
      throw new ShoalError('resource_exhausted', `this manager serves ${this.settings.maxSessions} agents already; try another`);
    }
    const session = new Session(call, this.#services);
    this.#streams.add(session);
    this.#silent.add(session);
  }

  async openStream(nodeId: string, request: OpenStream, signal: AbortSignal): Promise<TaskStream> {
    return await this.streams.open(nodeId, this.#byNode.has(nodeId), request, signal);
  }

  stop(): void {
    this.#unsubscribe();
    this.#time.stop();
    const { writer, acks, routes } = this.#services;
    for (const session of [...this.#streams]) session.end(new ShoalError('unavailable', 'this manager is stopping; try another'));
    this.streams.stop();
    writer.stop();
    acks.stop();
    routes.stop();
  }

  #cluster(): Cluster {
    const cluster = this.#options.state.get('cluster', '')?.value;
    if (cluster === undefined) throw new ShoalError('unavailable', "the cluster's own row is not in the state");
    return cluster;
  }

  #historyName(): string {
    const cluster = this.#options.state.get('cluster', '')?.value;
    return cluster === undefined ? '' : `${cluster.id}/${cluster.incarnation}/${cluster.incarnationNumber}`;
  }

  #downAfterMs(): number {
    return nodeDownAfterMs(this.#options.state.get('cluster', '')?.value.settings);
  }

  #managerAddresses(): readonly string[] {
    this.#managers ??= [...this.#options.state.all('managers')]
      .map((row) => row.value.address)
      .filter((address) => address !== '')
      .sort();
    return this.#managers;
  }

  #opened(session: Session): void {
    const { nodeId, row } = session;
    if (nodeId === undefined || row === undefined) return;
    this.#byNode.get(nodeId)?.end(superseded());
    this.#byNode.set(nodeId, session);
    this.#services.metrics.sessions.set(this.#byNode.size);
    this.#services.writer.fence(row);
    this.#heard(nodeId);
  }

  #heard(nodeId: string): void {
    // Whoever said that it is quiet: the manager that it was with before, or the leader, after that one was gone.
    const isNoted = this.#options.state.get('nodeStatus', nodeId)?.value.silent === true;
    if (this.#liveness.heard(nodeId) || isNoted) this.#noteQuiet(nodeId, false);
  }

  #noteQuiet(nodeId: string, silent: boolean): void {
    this.#services.writer.put(nodeId, 'nodeStatus', nodeId, 'silent', onRow(nodeId, nodeQuiet(silent)));
  }

  #ended(session: Session): void {
    this.#streams.delete(session);
    this.#silent.delete(session);
    const { nodeId } = session;
    if (nodeId === undefined || this.#byNode.get(nodeId) !== session) return;
    this.#byNode.delete(nodeId);
    this.#services.metrics.sessions.set(this.#byNode.size);
    this.streams.local.dropNode(nodeId);
  }

  #tick(stalled: boolean): void {
    if (stalled) return;
    const { writer, metrics, clock, log } = this.#services;
    for (const nodeId of this.#liveness.takeQuiet()) this.#noteQuiet(nodeId, true);
    for (const nodeId of this.#liveness.takeSilent()) {
      metrics.nodesDown.inc();
      log.warn('a node is silent; marking it down', { node: nodeId });
      const message = `no heartbeat for ${this.#downAfterMs() / 1000} s`;
      writer.put(nodeId, 'nodeStatus', nodeId, 'state', onRow(nodeId, nodeSilent(message, clock.wallMs())));
    }
    for (const session of this.#byNode.values()) session.tick();
  }

  /** Runs inside the state's own update: marks and triggers only, and must not throw. */
  #stateChanged(changes: readonly Change[], revision: Revision): void {
    const { state } = this.#options;
    const { routes, acks } = this.#services;
    if (revision > state.revision) this.#aheadRevision = Math.max(this.#aheadRevision, revision);
    const drainsBefore = routes.index.draining.size;
    routes.index.apply(changes);
    for (const change of changes) this.#changed(change, revision);
    if (routes.index.draining.size !== drainsBefore) {
      acks.drainsChanged();
      if (drainsBefore === 0) for (const session of this.#byNode.values()) session.drainsBegan();
    }
    // Without the cluster's own row, a table would have no name.
    if (changes.length > 0 && this.#history !== '') routes.changed();
    this.#gate.advanced(state.revision);
  }

  #changed(change: Change, revision: Revision): void {
    switch (change.table) {
      case 'tasks': {
        for (const nodeId of new Set([change.before?.value.nodeId, change.after?.value.nodeId])) {
          if (nodeId !== undefined) this.#byNode.get(nodeId)?.taskTouched(change.id, revision);
        }
        return;
      }
      case 'taskStatus':
        this.#statusChanged(change.id, revision);
        return;
      case 'sessions':
        this.#sessionRowChanged(change.id);
        return;
      case 'nodes':
        if (change.after === undefined) this.#forget(change.id, removed(change.id));
        return;
      case 'managers':
        this.#managers = undefined;
        return;
      case 'cluster':
        this.#clusterChanged();
        return;
      case 'services':
      case 'specs':
      case 'serviceStatus':
      case 'rebalance':
      case 'slots':
      case 'nodeStatus':
      case 'removedNodes':
      case 'routeAcks':
      case 'routeFloor':
      case 'byName':
      case 'byPort':
      case 'leader':
      case 'nodeWatch':
      case 'events':
      case 'eventFloor':
        return;
    }
  }

  /** A task that is to be removed leaves its node's assignments when it is finished. */
  #statusChanged(taskId: string, revision: Revision): void {
    const task = this.#options.state.get('tasks', taskId)?.value;
    if (task?.desired === TaskState.REMOVE) this.#byNode.get(task.nodeId)?.taskTouched(taskId, revision);
  }

  #sessionRowChanged(nodeId: string): void {
    const row = this.#options.state.get('sessions', nodeId);
    if (row?.value.managerId !== this.#options.managerId) {
      const gone = row === undefined && this.#options.state.get('nodes', nodeId) === undefined;
      this.#forget(nodeId, gone ? removed(nodeId) : superseded());
      return;
    }
    const session = this.#byNode.get(nodeId);
    if (session?.row !== undefined && session.row.modRevision < row.modRevision) session.end(superseded());
    this.#services.writer.fence(row);
    this.#heard(nodeId);
  }

  /** Somebody else speaks for the node now, or nobody. */
  #forget(nodeId: string, reason: ShoalError): void {
    this.#liveness.forget(nodeId);
    this.#services.writer.drop(nodeId);
    this.#services.acks.drop(nodeId);
    this.#byNode.get(nodeId)?.end(reason);
  }

  /** Another incarnation: everything told so far has another name now. */
  #clusterChanged(): void {
    const name = this.#historyName();
    if (name === this.#history) return;
    this.#history = name;
    this.#services.routes.beginHistory();
    for (const session of [...this.#streams]) {
      session.end(new ShoalError('unavailable', "the cluster's store has a new incarnation; register again"));
    }
  }
}
