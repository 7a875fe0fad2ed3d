// The agent's end of the mesh's socket, for tests: says what it is told to say, and keeps every report.
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { encodeFrame, frameReader } from '../../lib/frames.ts';
import { MeshCommand, MeshReport, type RouteTable } from '../../proto/index.ts';
import { until } from './until.ts';

type Report = NonNullable<MeshReport['report']>;
type Kind = Report['case'];

export interface MeshAgent {
  readonly reports: readonly Report[];
  readonly closed: boolean;
  send(command: NonNullable<MeshCommand['command']>): void;
  sendRaw(bytes: Uint8Array): void;
  hello(nodeId?: string, clusterId?: string): void;
  /** Sends it and waits for its acknowledgement. */
  table(table: RouteTable): Promise<void>;
  /** The latest report of a kind. */
  last<K extends Kind>(kind: K): Extract<Report, { readonly case: K }>['value'] | undefined;
  close(): void;
}

export async function connectAgent(dataDir: string): Promise<MeshAgent> {
  const socket = connect(join(dataDir, 'mesh.sock'));
  await once(socket, 'connect');
  const reports: Report[] = [];
  let closed = false;
  const read = frameReader(2 ** 26, (payload) => {
    const { report } = MeshReport.decode(payload);
    if (report !== undefined) reports.push(report);
  });
  socket.on('data', (chunk: Buffer) => {
    read(chunk);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
  });
  const agent: MeshAgent = {
    reports,
    get closed() {
      return closed;
    },
    send: (command) => {
      agent.sendRaw(encodeFrame(MeshCommand.encode({ command })));
    },
    sendRaw: (bytes) => socket.write(bytes),
    hello: (nodeId = 'node-a', clusterId = 'cluster-a') => {
      agent.send({ case: 'hello', value: { nodeId, clusterId } });
    },
    table: async (value) => {
      agent.send({ case: 'table', value });
      await until(
        () => agent.last('ack')?.revision === value.epoch?.revision,
        () => `no acknowledgement; reports: ${JSON.stringify(reports)}`,
      );
    },
    last: (kind) => reports.findLast((report) => report.case === kind)?.value as never,
    close: () => socket.destroy(),
  };
  return agent;
}
