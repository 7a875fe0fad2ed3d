// An agent as a manager sees it, over real gRPC: registers, heartbeats, applies what it is sent by an agent's own rules, reports what the test says.
import { credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import { systemClock, type Timer } from '../../lib/clock.ts';
import type { ShoalError } from '../../lib/errors.ts';
import { systemIds } from '../../lib/ids.ts';
import { connect, fromServiceError } from '../../lib/rpc/index.ts';
import { applyDelta, applySet, type AssignmentBook, emptyBook } from '../../agent/session/assignment-book.ts';
import { applyDelta as applyRouteDelta, applyTable, type Table } from '../../mesh/table/table.ts';
import {
  type AgentMessage,
  AgentSessionService,
  type HeartbeatAnswer,
  type ManagerMessage,
  NodeDescription,
  type OpenStream,
  Register,
  type Registered,
  RouteReport,
  type TaskState,
  TaskStatus,
  type TaskStreamDown,
  type TaskStreamUp,
} from '../../proto/index.ts';
import { until } from './until.ts';

type Up = NonNullable<AgentMessage['message']>;
type Down = NonNullable<ManagerMessage['message']>;

export interface FakeAgentOptions {
  /** Beside a new nonce, boot "boot-1" and hostname "host". */
  readonly register?: Partial<Register>;
  /** Period of its heartbeats; 0: none. The default is 50. */
  readonly heartbeatMs?: number;
  /** Acknowledges each route table as its mesh would; the default. */
  readonly acks?: boolean;
  /** What it applied in earlier sessions, as it would have it on disk. */
  readonly book?: AssignmentBook;
  readonly table?: Table | undefined;
}

export interface FakeAgent {
  readonly received: readonly Down[];
  registered(): Registered | undefined;
  nodeId(): string;
  book(): AssignmentBook;
  table(): Table | undefined;
  answers(): readonly HeartbeatAnswer[];
  openStreams(): readonly OpenStream[];
  /** What it refused as older, foreign or with a gap. */
  readonly refused: readonly string[];
  /** Why its stream ended. */
  ended(): ShoalError | undefined;
  send(message: Up): void;
  report(taskId: string, state: TaskState, fields?: Partial<TaskStatus>): void;
  /** From now on with other heartbeats. */
  beat(periodMs: number): void;
  acknowledge(fields?: Partial<RouteReport>): void;
  /** Stops reading, so that the manager meets backpressure. */
  pause(): void;
  resume(): void;
  attach(stream: OpenStream): ClientDuplexStream<TaskStreamUp | Uint8Array, TaskStreamDown>;
  close(): void;
  untilRegistered(): Promise<Registered>;
}

/** A manager may be busy with others. */
const REGISTERED_MS = 30_000;

export function fakeAgent(address: string, options: FakeAgentOptions = {}): FakeAgent {
  const connection = connect(address, credentials.createInsecure());
  const client = connection.client(AgentSessionService);
  const call = client.session();
  const received: Down[] = [];
  const refused: string[] = [];
  let book = options.book ?? emptyBook;
  let table = options.table;
  let ended: ShoalError | undefined;
  let registered: Registered | undefined;
  let heartbeat: Timer | undefined;
  let sequence = 0;

  const send = (message: Up): void => {
    if (ended === undefined) call.write({ message });
  };
  const acknowledge = (fields: Partial<RouteReport> = {}): void => {
    send({ case: 'routes', value: RouteReport.create({ ack: table?.epoch, meshUp: true, ...fields }) });
  };
  const beat = (periodMs: number): void => {
    heartbeat?.cancel();
    if (periodMs === 0 || ended !== undefined) return;
    send({ case: 'heartbeat', value: { sequence: ++sequence } });
    heartbeat = systemClock.after(periodMs, () => beat(periodMs), true);
  };
  const takeBook = (change: ReturnType<typeof applySet>): void => {
    if (change.kind === 'applied') book = change.book;
    else refused.push(change.reason);
  };
  const takeTable = (outcome: ReturnType<typeof applyTable>): void => {
    if (outcome.kind === 'changed') table = outcome.table;
    else if (outcome.kind === 'refused') refused.push(outcome.error.message);
    else if (outcome.kind === 'gap') refused.push('gap in routes');
    if (options.acks !== false) acknowledge();
  };
  const take = (message: Down): void => {
    const clusterId = registered?.clusterId ?? '';
    switch (message.case) {
      case 'registered':
        registered = message.value;
        beat(options.heartbeatMs ?? 50);
        return;
      case 'assignments':
        takeBook(applySet(book, message.value, clusterId));
        return;
      case 'assignmentDelta':
        takeBook(applyDelta(book, message.value, clusterId));
        return;
      case 'routes':
        takeTable(applyTable(table, message.value, clusterId));
        return;
      case 'routeDelta':
        takeTable(applyRouteDelta(table, message.value, clusterId));
        return;
      case 'heartbeat':
      case 'openStream':
      case 'restartMesh':
      case 'nodeRemoved':
      case 'nodeFates':
        return;
    }
  };
  call.on('data', ({ message }: ManagerMessage) => {
    if (message === undefined) return;
    received.push(message);
    take(message);
  });
  call.on('error', (error: unknown) => {
    ended ??= fromServiceError(error, address);
    heartbeat?.cancel();
  });
  call.write({
    message: {
      case: 'register',
      value: Register.create({
        bootId: 'boot-1',
        nonce: systemIds.next(),
        description: NodeDescription.create({ hostname: 'host' }),
        assignments: book.epoch,
        routes: table?.epoch,
        ...options.register,
      }),
    },
  });

  const agent: FakeAgent = {
    received,
    registered: () => registered,
    nodeId: () => registered?.nodeId ?? '',
    book: () => book,
    table: () => table,
    answers: () => received.flatMap((message) => (message.case === 'heartbeat' ? [message.value] : [])),
    openStreams: () => received.flatMap((message) => (message.case === 'openStream' ? [message.value] : [])),
    refused,
    ended: () => ended,
    send,
    report(taskId, state, fields = {}) {
      send({ case: 'statuses', value: { statuses: [TaskStatus.create({ taskId, state, ...fields })], complete: false } });
    },
    beat,
    acknowledge,
    pause: () => void call.pause(),
    resume: () => void call.resume(),
    attach(stream) {
      const up = client.taskStream();
      up.on('error', () => undefined);
      up.write({ frame: { case: 'attach', value: { streamId: stream.streamId, nodeId: agent.nodeId() } } });
      return up;
    },
    close() {
      heartbeat?.cancel();
      call.cancel();
      connection.close();
    },
    async untilRegistered() {
      await until(
        () => registered !== undefined,
        () => `registered; ended with ${ended?.message ?? 'nothing'}`,
        REGISTERED_MS,
      );
      if (registered === undefined) throw new Error('not registered');
      return registered;
    },
  };
  return agent;
}
