// Asks the meshes of many nodes what they do: over the sessions of their agents, some at a time, each and all within a deadline. What a node tells is
// handed on page by page, so that nobody has to hold it whole.
import { withDeadline } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { type MeshLag, type MeshStatusPage, type Node, OpenStream } from '../../../proto/index.ts';
import type { Row } from '../../state/index.ts';
import type { ApiContext } from '../context.ts';
import { endedEarly, openTaskStream, refuseFailure } from '../task-log.ts';

/** Each is a stream of an agent. */
const AT_ONCE = 32;
/** An agent that is there answers within milliseconds; a large table takes some pages more. */
const NODE_DEADLINE_MS = 4000;
/** Below what clients wait for an answer. */
const DEADLINE_MS = 8000;

export interface MeshPage {
  readonly lag: MeshLag;
  readonly page: MeshStatusPage;
}

export interface MeshQuestion {
  readonly nodes: readonly Row<Node>[];
  readonly targets: boolean;
  readonly onPage: (nodeId: string, page: MeshPage) => void;
}

/** Resolves to why each node that could not be asked, or not to the end, was not. Rejects when the signal aborts. */
export async function askMeshes(
  context: ApiContext,
  { nodes, targets, onPage }: MeshQuestion,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ShoalError>> {
  const { clock } = context;
  const errors = new Map<string, ShoalError>();
  const untilMs = clock.nowMs() + DEADLINE_MS;
  const waiting = [...nodes];
  const askOne = async (nodeId: string): Promise<void> => {
    const leftMs = Math.min(NODE_DEADLINE_MS, untilMs - clock.nowMs());
    if (leftMs <= 0) throw new ShoalError('deadline_exceeded', `not asked within ${DEADLINE_MS / 1000} s; name the node to ask it alone`);
    const ask = (ended: AbortSignal): Promise<void> => readPages(context, nodeId, targets, (page) => onPage(nodeId, page), ended);
    await withDeadline(clock, leftMs, 'asking the node', ask, signal);
  };
  const askInTurn = async (): Promise<void> => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
      try {
        await askOne(row.id);
      } catch (error) {
        signal.throwIfAborted();
        errors.set(row.id, ShoalError.from(error));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, askInTurn));
  return errors;
}

async function readPages(
  context: ApiContext,
  nodeId: string,
  targets: boolean,
  onPage: (page: MeshPage) => void,
  signal: AbortSignal,
): Promise<void> {
  const request = OpenStream.create({ request: { case: 'meshStatus', value: { targets, lag: undefined } } });
  const stream = await openTaskStream(context, nodeId, request, signal);
  const close = (): void => stream.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    for await (const { frame } of stream) {
      // After its time a node has nothing to add: what it said may be counted already.
      if (signal.aborted) break;
      if (frame?.case === 'mesh' && frame.value.page !== undefined) {
        onPage({ lag: frame.value.lag ?? { sentRevision: 0, waitingMs: 0 }, page: frame.value.page });
      }
      if (frame?.case === 'end') {
        refuseFailure(frame.value);
        return;
      }
    }
    throw endedEarly(signal);
  } finally {
    signal.removeEventListener('abort', close);
    stream.close();
  }
}
