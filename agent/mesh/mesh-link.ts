// The agent's end of the local stream to its mesh: hello, tables as bytes, reports.
import { connect, type Socket } from 'node:net';
import { MeshCommand, type MeshHandOver, type MeshReady, MeshReport, type MeshStatusQuery } from '../../proto/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import { encodeFrame, frameReader } from '../../lib/frames.ts';

/** Pongs stay between the two ends. */
export type MeshReportKind = Exclude<NonNullable<MeshReport['report']>, { readonly case: 'pong' }>;

export interface MeshLink {
  readonly ready: MeshReady;
  /** False: the mesh takes nothing more at the moment, and this was dropped. */
  sendTable(table: Uint8Array): boolean;
  sendDelta(delta: Uint8Array): boolean;
  /** Complete list of tasks of this node that have ended. */
  sendEnded(taskIds: readonly string[]): void;
  sendStop(drainPeriodMs: number): void;
  /** Ends the link where it comes about. */
  sendHandOver(handOver: MeshHandOver): void;
  sendPing(sequence: number): void;
  /** Answered by the report `status` of the same sequence. */
  sendStatusQuery(query: MeshStatusQuery): void;
  /** Resolves with the reason when the stream has ended. */
  readonly closed: Promise<string>;
  close(): void;
}

export interface MeshLinkOptions {
  readonly path: string;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly clock: Clock;
  readonly readyDeadlineMs: number;
  /** Everything but `ready`. */
  readonly onReport: (report: MeshReportKind) => void;
  readonly onPong: (sequence: number) => void;
}

const MAX_REPORT_BYTES = 8 * 2 ** 20;
/** Tables that the mesh has not read yet; beyond this the newest is dropped and asked for again later. */
const MAX_UNREAD_BYTES = 32 * 2 ** 20;
/** MeshCommand.table and .delta with wire type 2. */
const TABLE_TAG = (2 << 3) | 2;
const DELTA_TAG = (3 << 3) | 2;

/** Resolves when the mesh is ready. Rejects with `unavailable` where nobody answers, or it refused (its reason is in the message). */
export function openMeshLink(options: MeshLinkOptions): Promise<MeshLink> {
  return new Promise((resolve, reject) => {
    const socket = connect(options.path);
    let why = 'it closed the connection';
    let ready: MeshReady | undefined;
    let onClosed: (reason: string) => void = () => undefined;
    const closed = new Promise<string>((settle) => {
      onClosed = settle;
    });
    const fail = (reason: string): void => {
      why = reason;
      socket.destroy();
    };
    const timer = options.clock.after(options.readyDeadlineMs, () => {
      fail(`it was not ready within ${String(options.readyDeadlineMs / 1000)} s`);
    });
    const take = (report: MeshReportKind): void => {
      if (report.case !== 'ready') {
        if (report.case === 'failure' && ready === undefined) why = report.value.message;
        options.onReport(report);
        return;
      }
      timer.cancel();
      ready = report.value;
      resolve(linkOver(socket, ready, closed));
    };
    const read = frameReader(MAX_REPORT_BYTES, (payload) => {
      const { report } = MeshReport.decode(payload);
      if (report?.case === 'pong') options.onPong(report.value.sequence);
      else if (report !== undefined) take(report);
    });
    socket.on('connect', () => {
      socket.write(
        encodeFrame(MeshCommand.encode({ command: { case: 'hello', value: { nodeId: options.nodeId, clusterId: options.clusterId } } })),
      );
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        read(chunk);
      } catch (error) {
        fail(`it sent something else than a report: ${messageOf(error)}`);
      }
    });
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.on('close', () => {
      timer.cancel();
      onClosed(why);
      if (ready === undefined) reject(new ShoalError('unavailable', `the mesh at ${options.path} does not answer: ${why}`));
    });
  });
}

function linkOver(socket: Socket, ready: MeshReady, closed: Promise<string>): MeshLink {
  const send = (tag: number, bytes: Uint8Array): boolean => {
    if (socket.destroyed || socket.writableLength > MAX_UNREAD_BYTES) return false;
    // MeshCommand around a table that is encoded already: tag, length, and the bytes as they came.
    const prefix = [tag, ...varint(bytes.length)];
    const header = Buffer.alloc(4);
    header.writeUInt32BE(prefix.length + bytes.length);
    socket.cork();
    socket.write(header);
    socket.write(Uint8Array.from(prefix));
    socket.write(bytes);
    socket.uncork();
    return true;
  };
  const command = (message: NonNullable<MeshCommand['command']>): void => {
    if (!socket.destroyed) socket.write(encodeFrame(MeshCommand.encode({ command: message })));
  };
  return {
    ready,
    sendTable: (table) => send(TABLE_TAG, table),
    sendDelta: (delta) => send(DELTA_TAG, delta),
    sendEnded(taskIds) {
      command({ case: 'ended', value: { taskIds: [...taskIds] } });
    },
    sendStop(drainPeriodMs) {
      command({ case: 'stop', value: { drainPeriodMs } });
    },
    sendHandOver(handOver) {
      command({ case: 'handOver', value: handOver });
    },
    sendPing(sequence) {
      command({ case: 'ping', value: { sequence } });
    },
    sendStatusQuery(query) {
      command({ case: 'status', value: query });
    },
    closed,
    close() {
      socket.destroy();
    },
  };
}

function varint(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}
