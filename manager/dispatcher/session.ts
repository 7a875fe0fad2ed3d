// One agent's session, from its first message to its end: what each message means, and what the agent is told.
import { adaptiveWindow } from '../../lib/adaptive-window.ts';
import { ShoalError } from '../../lib/errors.ts';
import {
  type AgentMessage,
  type Cluster,
  type NodeDescription,
  type NodeSession,
  NodeState,
  type OpenStream,
  type Register,
  type RouteReport,
  TaskState,
  TaskStatus,
} from '../../proto/index.ts';
import type { Row } from '../state/index.ts';
import type { Revision } from '../store/store.ts';
import { AgentStream, type SessionCall } from './agent-stream.ts';
import { AssignmentFeed } from './assignment-feed.ts';
import { factsOf } from './assignments.ts';
import { epochAt, sameHistory } from './epochs.ts';
import { MeshWatch } from './mesh-watch.ts';
import { meshReady, type NodeChange, nodeDescribed, nodeReady, onRow, portsReported } from './node-changes.ts';
import { fatesOf } from './node-fates.ts';
import { descriptionProblem } from './register-check.ts';
import { type Registration, removed } from './registration.ts';
import type { SessionServices } from './session-services.ts';
import { heartbeatPeriodMs } from './settings.ts';
import { StatusReports } from './status-reports.ts';

/** What exists once the node is registered. */
interface Open {
  readonly nodeId: string;
  readonly cluster: Cluster;
  readonly row: Row<NodeSession>;
  readonly feed: AssignmentFeed;
  readonly mesh: MeshWatch;
  readonly statuses: StatusReports;
  owedAnswer: number | undefined;
}

const HEARTBEAT_JITTER = 0.1;

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
    open.statuses.touched(taskId);
    open.feed.touched(taskId, revision);
  }

  /** False: the agent takes nothing at present. */
  openStream({ streamId, request }: OpenStream): boolean {
    const open = this.#open;
    if (open === undefined || this.#stream.congested) return false;
    const lag = open.mesh.lag(this.#services.steadyNowMs());
    const asked = request?.case === 'meshStatus' ? { ...request, value: { ...request.value, lag } } : request;
    this.#stream.send({ message: { case: 'openStream', value: { streamId, request: asked } } });
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
        open.statuses.take(message.value);
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
    const statuses = new StatusReports(nodeId, services);
    const open: Open = {
      nodeId,
      cluster,
      row: session,
      feed: this.#assignmentFeed(nodeId, cluster, register.description, statuses),
      mesh: new MeshWatch({ ackMs: services.settings.meshAckMs, restartMs: services.settings.meshRestartMs }),
      statuses,
      owedAnswer: undefined,
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

  #assignmentFeed(nodeId: string, cluster: Cluster, description: NodeDescription | undefined, statuses: StatusReports): AssignmentFeed {
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
        statuses.write(TaskStatus.create({ taskId, nodeId, state: TaskState.REJECTED, sinceUnixMs: clock.wallMs(), error: reason }));
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
