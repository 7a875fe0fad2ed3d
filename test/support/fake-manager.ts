// A manager as an agent sees it, over real gRPC: answers registrations and heartbeats as told, keeps what agents send, sends what the test wants.
import { ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { ShoalError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import { createServer, failCall } from '../../lib/rpc/index.ts';
import {
  AgentSessionService,
  type AgentMessage,
  type ManagerMessage,
  type NodeRemoved,
  Registered,
  type Register,
  type RouteReport,
  type StatusBatch,
  type TaskStatus,
  type TaskStreamDown,
  type TaskStreamUp,
} from '../../proto/index.ts';
import { ownLoopback } from './sockets.ts';

type Down = NonNullable<ManagerMessage['message']>;
type Up = NonNullable<AgentMessage['message']>;

export interface FakeSession {
  readonly register: Register;
  /** All after Register, heartbeats excepted. */
  readonly received: readonly Up[];
  heartbeats(): number;
  readonly batches: readonly StatusBatch[];
  /** The latest of each task. */
  readonly statuses: ReadonlyMap<string, TaskStatus>;
  routes(): RouteReport | undefined;
  send(message: Down): void;
  end(): void;
  fail(error: ShoalError): void;
  ended(): boolean;
}

export interface FakeTaskStream {
  readonly streamId: string;
  readonly nodeId: string;
  readonly frames: readonly NonNullable<TaskStreamUp['frame']>[];
  send(frame: NonNullable<TaskStreamDown['frame']>): void;
  /** Stops reading, so that the agent meets backpressure. */
  pause(): void;
  resume(): void;
  cancel(): void;
  cancelled(): boolean;
}

export interface FakeManager {
  readonly address: string;
  readonly sessions: readonly FakeSession[];
  readonly streams: readonly FakeTaskStream[];
  /** What registrations are answered with; an error refuses, undefined leaves them without an answer. */
  onRegister: (register: Register) => Partial<Registered> | ShoalError | undefined;
  /** Instead: the node was removed. */
  removal: ((register: Register) => NodeRemoved) | undefined;
  /** How many came, answered or not. */
  readonly registrations: () => number;
  answersHeartbeats: boolean;
  storeReachable: boolean;
  managers: readonly string[];
  /** Sessions that are open. */
  open(): readonly FakeSession[];
  last(): FakeSession;
  stop(): Promise<void>;
}

export interface FakeManagerOptions {
  readonly clusterId?: string;
  readonly nodeId?: string;
  readonly heartbeatPeriodMs?: number;
  readonly port?: number;
}

export async function fakeManager(options: FakeManagerOptions = {}): Promise<FakeManager> {
  const server = createServer(silentLogger);
  const sessions: FakeSession[] = [];
  const streams: FakeTaskStream[] = [];
  let registrations = 0;
  const manager = {
    address: '',
    sessions,
    streams,
    onRegister: (register: Register): Partial<Registered> | ShoalError | undefined => ({
      nodeId: register.nodeId === '' ? (options.nodeId ?? 'node1') : register.nodeId,
      clusterId: options.clusterId ?? 'cluster1',
    }),
    removal: undefined as FakeManager['removal'],
    registrations: () => registrations,
    answersHeartbeats: true,
    storeReachable: true,
    managers: [] as readonly string[],
    open: () => sessions.filter((session) => !session.ended()),
    last() {
      const session = sessions.at(-1);
      if (session === undefined) throw new Error('no session yet');
      return session;
    },
    stop: () => server.stop(0),
  };
  server.add(AgentSessionService, {
    session(call) {
      call.on('error', () => undefined);
      call.once('data', ({ message }: AgentMessage) => {
        if (message?.case !== 'register') throw new Error('the first message is not Register');
        registrations++;
        if (manager.removal !== undefined) {
          call.write({ message: { case: 'nodeRemoved', value: manager.removal(message.value) } });
          failCall(call, new ShoalError('permission_denied', 'the node was removed'), 'Session', silentLogger);
          return;
        }
        const answer = manager.onRegister(message.value);
        if (answer === undefined) return;
        if (answer instanceof Error) {
          failCall(call, answer, 'Session', silentLogger);
          return;
        }
        const session = openSession(call, message.value, manager);
        sessions.push(session);
        session.send({
          case: 'registered',
          value: Registered.create({
            managerId: 'm1',
            heartbeatPeriodMs: options.heartbeatPeriodMs ?? 100,
            managers: manager.managers,
            ...answer,
          }),
        });
      });
    },
    taskStream(call) {
      call.on('error', () => undefined);
      call.once('data', ({ frame }: TaskStreamUp) => {
        if (frame?.case !== 'attach') throw new Error('the first frame is not attach');
        streams.push(openTaskStream(call, frame.value.streamId, frame.value.nodeId));
        call.write({ frame: { case: 'accepted', value: {} } });
      });
    },
  });
  const port = await server.listen(`${ownLoopback()}:${options.port ?? 0}`, ServerCredentials.createInsecure());
  manager.address = `${ownLoopback()}:${port}`;
  return manager;
}

type SessionCall = ServerDuplexStream<AgentMessage, ManagerMessage | Uint8Array>;

function openSession(
  call: SessionCall,
  register: Register,
  manager: { readonly answersHeartbeats: boolean; readonly storeReachable: boolean; readonly managers: readonly string[] },
): FakeSession {
  const received: Up[] = [];
  const batches: StatusBatch[] = [];
  const statuses = new Map<string, TaskStatus>();
  let heartbeats = 0;
  let routes: RouteReport | undefined;
  let ended = false;
  const end = (): void => {
    ended = true;
  };
  call.on('end', end);
  call.on('cancelled', end);
  call.on('close', end);
  const send = (message: Down): void => {
    if (!ended) call.write({ message });
  };
  call.on('data', ({ message }: AgentMessage) => {
    if (message === undefined) return;
    if (message.case === 'heartbeat') {
      heartbeats++;
      const value = { sequence: message.value.sequence, storeReachable: manager.storeReachable, managers: manager.managers };
      if (manager.answersHeartbeats) send({ case: 'heartbeat', value });
      return;
    }
    received.push(message);
    if (message.case === 'statuses') {
      batches.push(message.value);
      for (const status of message.value.statuses) statuses.set(status.taskId, status);
    }
    if (message.case === 'routes') routes = message.value;
  });
  return {
    register,
    received,
    heartbeats: () => heartbeats,
    batches,
    statuses,
    routes: () => routes,
    send,
    end: () => call.end(),
    fail(error) {
      failCall(call, error, 'Session', silentLogger);
    },
    ended: () => ended,
  };
}

function openTaskStream(
  call: ServerDuplexStream<TaskStreamUp, TaskStreamDown | Uint8Array>,
  streamId: string,
  nodeId: string,
): FakeTaskStream {
  const frames: NonNullable<TaskStreamUp['frame']>[] = [];
  let cancelled = false;
  call.on('data', ({ frame }: TaskStreamUp) => {
    if (frame !== undefined) frames.push(frame);
    if (frame?.case === 'end') call.end();
  });
  call.on('cancelled', () => {
    cancelled = true;
  });
  return {
    streamId,
    nodeId,
    frames,
    send: (frame) => void call.write({ frame }),
    pause: () => call.pause(),
    resume: () => call.resume(),
    cancel: () => call.end(),
    cancelled: () => cancelled,
  };
}
