// One agent's session, from its first message to its end: what each message means, and what the agent is told.
import { adaptiveWindow } from '../../lib/adaptive-window.ts';
import type { Clock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { type RareLog, rareLog } from '../../lib/rare-log.ts';
import type { Rng } from '../../lib/rng.ts';
import {
  type AgentMessage,
  type Cluster,
  type NodeDescription,
  type NodeSession,
  NodeState,
  type OpenStream,
  type Register,
  type RouteReport,
  type StatusBatch,
  TaskState,
  TaskStatus,
} from '../../proto/index.ts';
import type { ClusterState, Row } from '../state/index.ts';
import type { Revision } from '../store/store.ts';
import { AgentStream, type SessionCall } from './agent-stream.ts';
import { AssignmentFeed } from './assignment-feed.ts';
import { factsOf } from './assignments.ts';
import { epochAt, sameHistory } from './epochs.ts';
import type { FencedWriter } from './fenced-writer.ts';
import { MeshWatch } from './mesh-watch.ts';
import type { DispatcherMetrics } from './metrics.ts';
import { meshReady, type NodeChange, nodeDescribed, nodeReady, onRow, portsReported } from './node-changes.ts';
import { descriptionProblem } from './register-check.ts';
import { fatesOf } from './node-fates.ts';
import { type Registration, type Removal, removed } from './registration.ts';
import type { RevisionGate } from './revision-gate.ts';
import type { RouteAckBook } from './route-acks.ts';
import type { RouteFeed } from './route-feed.ts';
import { type DispatcherSettings, heartbeatPeriodMs } from './settings.ts';
import { lostStatuses, mergeStatus, takeBatch } from './status-intake.ts';

/** What all sessions of a manager share. */
export interface SessionServices {
  readonly state: ClusterState;
  readonly managerId: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** For what any client can cause. */
  readonly warnRarely: RareLog;
  readonly settings: DispatcherSettings;
  readonly metrics: DispatcherMetrics;
  readonly writer: FencedWriter;
  readonly routes: RouteFeed;
  readonly acks: RouteAckBook;
  readonly gate: RevisionGate;
  readonly steadyNowMs: () => number;
  readonly storeReachable: () => boolean;
  /** Addresses of all managers. */
  readonly managers: () => readonly string[];
  readonly aheadRevision: () => Revision;
  readonly register: (register: Register, wanted: () => boolean) => Promise<Registration | Removal>;
  /** It has said who it is. */
  readonly spoke: (session: Session) => void;
  readonly opened: (session: Session) => void;
  readonly ended: (session: Session) => void;
  readonly heard: (nodeId: string) => void;
}

/** What exists once the node is registered. */
interface Open {
  readonly nodeId: string;
  readonly cluster: Cluster;
  readonly row: Row<NodeSession>;
  readonly feed: AssignmentFeed;
  readonly mesh: MeshWatch;
  /** The newest state of each task that this session reported: an older one never replaces it, even while it waits to be written. */
  readonly reported: Map<string, TaskState>;
  /** The first batch of statuses has come. */
  complete: boolean;
  owedAnswer: number | undefined;
  /** Of this agent's mistakes. */
  readonly warn: RareLog;
}

const HEARTBEAT_JITTER = 0.1;
const REPEAT_WARNING_MS = 60_000;

export class Session {
  readonly #services: SessionServices;
  readonly #stream: AgentStream;
  #state: 'new' | 'registering' | Open | 'ended' = 'new';

  constructor(call: SessionCall, services: SessionServices) {
    this.#services = services;
    this.#stream = new AgentStream(call, services, {
      onMessage: (message) => {
        this.#take(message);
      },
      onRoom: () => {
        this.#catchUp();
      },
      onEnd: () => {
        this.#onEnd();
      },
    });
  }

  /** Undefined while, or when, it is not registered. */
  get nodeId(): string | undefined {
    return this.#open?.nodeId;
  }

  get row(): Row<NodeSession> | undefined {
    return this.#open?.row;
  }

  end(error: ShoalError): void {
    this.#stream.end(error);
  }

  taskTouched(taskId: string, revision: Revision): void {
    const open = this.#open;
    if (open === undefined) return;
    if (this.#services.state.get('tasks', taskId) === undefined) open.reported.delete(taskId);
    open.feed.touched(taskId, revision);
  }

  /** False: the agent takes nothing at present. */
  openStream(request: OpenStream): boolean {
    if (this.#open === undefined || this.#stream.congested) return false;
    this.#stream.send({ message: { case: 'openStream', value: request } });
    return true;
  }

  congested(): boolean {
    return this.#stream.congested;
  }

  sendRoutes(message: Uint8Array, revision: Revision): void {
    this.#open?.mesh.sent(revision, this.#services.steadyNowMs());
    this.#stream.send(message);
  }

  /** The first drain began after a time without any. */
  drainsBegan(): void {
    this.#open?.mesh.waitFromNow(this.#services.steadyNowMs());
  }

  /** Regular look at the node's mesh. */
  tick(): void {
    const open = this.#open;
    if (open === undefined) return;
    const { metrics, log, steadyNowMs, settings, routes, state } = this.#services;
    const nowMs = steadyNowMs();
    const isUnready = state.get('nodeStatus', open.nodeId)?.value.meshUnready;
    // The leader excuses a late mesh at the same deadline, and then nothing drains any more: the mesh is late all the same.
    if ((routes.index.draining.size > 0 || isUnready === true) && open.mesh.restartDue(nowMs)) {
      const reason = `it has not acknowledged a route table for ${settings.meshAckMs / 1000} s while a task waits to be stopped`;
      log.warn('asking for a restart of a mesh', { node: open.nodeId, reason });
      metrics.meshRestarts.inc();
      this.#stream.send({ message: { case: 'restartMesh', value: { reason } } });
    }
    if (open.mesh.isDown(nowMs) && isUnready === false) this.#change('mesh', meshReady(false));
  }

  get #open(): Open | undefined {
    return typeof this.#state === 'object' ? this.#state : undefined;
  }

  #take({ message }: AgentMessage): void {
    if (this.#state === 'new') {
      if (message?.case !== 'register') throw new ShoalError('invalid_argument', 'the first message of a session must be Register');
      this.#state = 'registering';
      this.#services.spoke(this);
      this.#stream.hold();
      void this.#register(message.value);
      return;
    }
    const open = this.#open;
    if (open === undefined) throw new ShoalError('invalid_argument', 'nothing may follow Register before Registered');
    // Of a later version.
    if (message === undefined) return;
    switch (message.case) {
      case 'register':
        throw new ShoalError('invalid_argument', 'Register came twice in one session');
      case 'heartbeat':
        this.#takeHeartbeat(open, message.value.sequence);
        return;
      case 'statuses':
        this.#takeStatuses(open, message.value);
        return;
      case 'routes':
        this.#takeRouteReport(open, message.value);
        return;
      case 'resync':
        if (message.value.assignments) open.feed.restart();
        if (message.value.routes) this.#services.routes.restart(this);
        return;
      case 'description':
        this.#takeDescription(open, message.value);
        return;
      case 'otherNodes':
        this.#stream.send({ message: { case: 'nodeFates', value: fatesOf(this.#services.state, open.cluster, message.value.nodeIds) } });
        return;
    }
  }

  async #register(register: Register): Promise<void> {
    const { metrics } = this.#services;
    try {
      const registration = await this.#services.register(register, () => !this.#stream.ended);
      if (registration.kind === 'removed') {
        const { epoch, nodeId } = registration;
        this.#stream.send({ message: { case: 'nodeRemoved', value: { epoch, nodeId } } });
        throw removed(nodeId);
      }
      metrics.registrations.inc({ result: 'ok' });
      if (this.#stream.ended) return;
      this.#begin(register, registration);
      this.#stream.release();
    } catch (error) {
      const known = ShoalError.from(error);
      metrics.registrations.inc({ result: known.code });
      this.#stream.name({ node: register.nodeId });
      this.end(known);
    }
  }

  #begin(register: Register, { nodeId, cluster, session }: Registration): void {
    const services = this.#services;
    this.#stream.registered({ node: nodeId });
    const open: Open = {
      nodeId,
      cluster,
      row: session,
      feed: this.#assignmentFeed(nodeId, cluster, register.description),
      mesh: new MeshWatch({ ackMs: services.settings.meshAckMs, restartMs: services.settings.meshRestartMs }),
      reported: new Map(),
      complete: false,
      owedAnswer: undefined,
      warn: rareLog(services.log, services.clock, { periodMs: REPEAT_WARNING_MS }),
    };
    this.#state = open;
    services.opened(this);
    services.log.info('an agent registered', { node: nodeId, peer: this.#stream.address });
    const periodMs = heartbeatPeriodMs(cluster.settings) * (1 + HEARTBEAT_JITTER * (2 * services.rng.next() - 1));
    this.#stream.send({
      message: {
        case: 'registered',
        value: {
          nodeId,
          clusterId: cluster.id,
          managerId: services.managerId,
          heartbeatPeriodMs: Math.round(periodMs),
          managers: services.managers(),
        },
      },
    });
    this.#change('state', nodeReady(services.clock.wallMs()));
    if (register.description !== undefined) this.#change('description', nodeDescribed(register.description, this.#stream.address));
    open.feed.restart();
    services.routes.attach(this, register.routes !== undefined && sameHistory(cluster, register.routes) ? register.routes.revision : 0);
  }

  #assignmentFeed(nodeId: string, cluster: Cluster, description: NodeDescription | undefined): AssignmentFeed {
    const { state, gate, clock, settings, aheadRevision } = this.#services;
    return new AssignmentFeed({
      state,
      gate,
      epochAt: (revision) => epochAt(cluster, revision),
      node: factsOf(nodeId, description),
      aheadRevision: aheadRevision(),
      congested: () => this.#stream.congested,
      send: (message) => {
        this.#stream.send(message);
      },
      impossible: (taskId, reason) => {
        this.#writeStatus(
          nodeId,
          TaskStatus.create({ taskId, nodeId, state: TaskState.REJECTED, sinceUnixMs: clock.wallMs(), error: reason }),
        );
      },
      window: (flush) => adaptiveWindow(clock, settings.assignmentWindow, flush),
    });
  }

  #takeHeartbeat(open: Open, sequence: number): void {
    const { metrics, heard, state, clock } = this.#services;
    metrics.heartbeats.inc();
    heard(open.nodeId);
    if (state.get('nodeStatus', open.nodeId)?.value.state !== NodeState.NODE_READY) this.#change('state', nodeReady(clock.wallMs()));
    open.owedAnswer = sequence;
    if (!this.#stream.congested) this.#answer(open);
  }

  #answer(open: Open): void {
    const sequence = open.owedAnswer;
    if (sequence === undefined) return;
    open.owedAnswer = undefined;
    const { storeReachable, managers } = this.#services;
    this.#stream.send({ message: { case: 'heartbeat', value: { sequence, storeReachable: storeReachable(), managers: managers() } } });
  }

  #takeStatuses(open: Open, batch: StatusBatch): void {
    const { state, metrics, log, clock } = this.#services;
    const { accepted, foreign, unknown } = takeBatch(state, open.nodeId, batch);
    metrics.statuses.inc({ result: 'accepted' }, accepted.length);
    if (foreign.length > 0 || unknown.length > 0) {
      metrics.statuses.inc({ result: 'foreign' }, foreign.length);
      metrics.statuses.inc({ result: 'unknown' }, unknown.length);
      // A last word about a task that was removed meanwhile is nothing unusual.
      const write: RareLog = foreign.length > 0 ? open.warn : (message, fields) => log.debug(message, fields);
      write('an agent reported tasks that are not its own or not in the store; these statuses were refused', {
        node: open.nodeId,
        foreign: foreign.slice(0, 5),
        foreignCount: foreign.length,
        unknown: unknown.slice(0, 5),
        unknownCount: unknown.length,
      });
    }
    for (const status of accepted) {
      if (status.state < (open.reported.get(status.taskId) ?? TaskState.NEW)) continue;
      open.reported.set(status.taskId, status.state);
      this.#writeStatus(open.nodeId, status);
    }
    if (!batch.complete || open.complete) return;
    open.complete = true;
    for (const status of lostStatuses(state, open.nodeId, batch, clock.wallMs())) this.#writeStatus(open.nodeId, status);
  }

  #writeStatus(nodeId: string, status: TaskStatus): void {
    const { writer, state } = this.#services;
    writer.put(nodeId, 'taskStatus', status.taskId, 'status', (current) => {
      // The task may be gone by the time this is tried again.
      if (state.get('tasks', status.taskId)?.value.nodeId !== nodeId) return undefined;
      return mergeStatus(current, status);
    });
  }

  #takeRouteReport(open: Open, report: RouteReport): void {
    const { acks, state, steadyNowMs } = this.#services;
    const ack = report.ack !== undefined && sameHistory(open.cluster, report.ack) ? report.ack : undefined;
    const keepsUp = open.mesh.reported(ack?.revision ?? 0, report.meshUp, steadyNowMs());
    acks.report(open.nodeId, ack, report.idleTaskIds);
    if (keepsUp && state.get('nodeStatus', open.nodeId)?.value.meshUnready === true) this.#change('mesh', meshReady(true));
    this.#change('ports', portsReported(report.portProblems));
  }

  #takeDescription(open: Open, description: NodeDescription): void {
    const problem = descriptionProblem(description);
    if (problem !== undefined) throw problem;
    open.feed.describe(factsOf(open.nodeId, description));
    this.#change('description', nodeDescribed(description, this.#stream.address));
  }

  #change(aspect: string, change: NodeChange): void {
    const nodeId = this.nodeId;
    if (nodeId !== undefined) this.#services.writer.put(nodeId, 'nodeStatus', nodeId, aspect, onRow(nodeId, change));
  }

  /** The stream has room again. */
  #catchUp(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#answer(open);
    open.feed.pump();
    this.#services.routes.pump(this);
  }

  #onEnd(): void {
    const open = this.#open;
    if (open !== undefined) {
      open.feed.stop();
      this.#services.routes.detach(this);
    }
    this.#services.ended(this);
    this.#state = 'ended';
  }
}
