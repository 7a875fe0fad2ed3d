// Streams to tasks that a test plays the agent of.
import { ShoalError } from '../../lib/errors.ts';
import { BoundedQueue } from '../../lib/queue.ts';
import type { TaskStreams } from '../../manager/dispatcher/task-streams.ts';
import { type NodeMeshPage, type OpenStream, OutputChunk, StreamEnd, type TaskStreamDown, type TaskStreamUp } from '../../proto/index.ts';
import { until } from './until.ts';

export interface AgentEnd {
  readonly nodeId: string;
  readonly request: OpenStream;
  /** What came down so far. */
  readonly received: readonly TaskStreamDown[];
  /** Frames that the reader has taken. */
  readonly taken: number;
  readonly isClosed: boolean;
  output(text: string, timeUnixMs?: number): void;
  mesh(page: NodeMeshPage): void;
  end(fields?: Partial<StreamEnd>): void;
  /** As if the connection to the agent broke. */
  cut(): void;
}

export interface FakeTaskStreams extends TaskStreams {
  /** In the order in which they were opened. */
  readonly opened: readonly AgentEnd[];
  /** Nodes to which no stream can be opened. */
  readonly unreachable: Set<string>;
  /** Resolves to the stream of that number once it is open. */
  stream(index: number): Promise<AgentEnd>;
}

export function fakeTaskStreams(): FakeTaskStreams {
  const opened: AgentEnd[] = [];
  const unreachable = new Set<string>();
  return {
    opened,
    unreachable,
    open(nodeId, request) {
      if (unreachable.has(nodeId)) return Promise.reject(new ShoalError('unavailable', `no session of ${nodeId}`));
      const frames = new BoundedQueue<TaskStreamUp>(100_000);
      const received: TaskStreamDown[] = [];
      let taken = 0;
      let isClosed = false;
      const push = (frame: TaskStreamUp['frame']): void => void frames.push({ frame });
      opened.push({
        nodeId,
        request,
        received,
        get taken() {
          return taken;
        },
        get isClosed() {
          return isClosed;
        },
        output: (text, timeUnixMs = 0) => push({ case: 'output', value: OutputChunk.create({ data: Buffer.from(text), timeUnixMs }) }),
        mesh: (value) => push({ case: 'mesh', value }),
        end(fields) {
          push({ case: 'end', value: StreamEnd.create(fields) });
          frames.end();
        },
        cut: () => frames.fail(new ShoalError('unavailable', 'the agent went away')),
      });
      return Promise.resolve({
        async *[Symbol.asyncIterator]() {
          for await (const frame of frames) {
            taken++;
            yield frame;
          }
        },
        send(frame) {
          if (isClosed) return Promise.reject(new ShoalError('unavailable', 'the stream has ended'));
          received.push(frame);
          return Promise.resolve();
        },
        close() {
          isClosed = true;
          frames.end();
        },
      });
    },
    async stream(index) {
      await until(() => opened.length > index, `stream ${index} is opened`);
      const end = opened[index];
      if (end === undefined) throw new Error('unreachable');
      return end;
    },
  };
}
