// All that sessions write of tasks and nodes: batched over nodes, each node's rows behind its own sessions/<node> revision, so that a session
// that was taken over changes nothing. A value is made from the row as it is at each attempt; what waits is bounded by the number of rows.
import type { AdaptiveWindow } from '../../lib/adaptive-window.ts';
import { backoff, type Backoff } from '../../lib/backoff.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import type { Ids } from '../../lib/ids.ts';
import type { NodeSession, NodeStatus, TaskStatus } from '../../proto/index.ts';
import { ChangeRecord } from '../events/index.ts';
import { type ClusterState, commitTo, keyOf, type Row, type TableTypes, TransactionBuilder } from '../state/index.ts';
import type { CommitResult, Store } from '../store/store.ts';

export type FencedTable = 'taskStatus' | 'nodeStatus';
/** The row's new value; undefined: nothing to write. Called again at each attempt. */
export type Make<T> = (current: T | undefined) => T | undefined;

interface PendingRow {
  readonly table: FencedTable;
  readonly id: string;
  /** By aspect: a later change of the same aspect replaces the earlier one, different ones add up. */
  readonly makes: Map<string, Make<unknown>>;
}

interface NodeQueue {
  readonly nodeId: string;
  readonly fence: Row<NodeSession>;
  readonly rows: Map<string, PendingRow>;
  /** The transaction under way that has rows of it: one at a time, so that they are written in order. */
  flight: readonly Taken[] | undefined;
}

interface Taken {
  readonly queue: NodeQueue;
  readonly rows: readonly PendingRow[];
}

export interface FencedWriterOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly ids: Ids;
  readonly log: Logger;
  readonly window: (flush: () => void) => AdaptiveWindow;
  readonly onCommit?: (rows: number) => void;
  readonly onFenced?: (nodeId: string) => void;
}

const MAX_IN_FLIGHT = 8;
const RETRY = { baseMs: 50, capMs: 2000 };
/** How long a conflict waits for the watch to bring what the store has. */
const CATCH_UP_MS = 2000;

export class FencedWriter {
  readonly #options: FencedWriterOptions;
  readonly #window: AdaptiveWindow;
  readonly #retry: Backoff;
  readonly #queues = new Map<string, NodeQueue>();
  #inFlight = 0;
  #resting: Timer | undefined;
  #stopped = false;

  constructor(options: FencedWriterOptions) {
    this.#options = options;
    this.#retry = backoff(RETRY, options.rng);
    this.#window = options.window(() => {
      this.#pump();
    });
  }

  /** Rows waiting. */
  get waiting(): number {
    let rows = 0;
    for (const queue of this.#queues.values()) rows += queue.rows.size;
    return rows;
  }

  /** From now on the node's writes compare this session row. What waited behind another one is dropped: its session is over. */
  fence(session: Row<NodeSession>): void {
    if (this.#queues.get(session.id)?.fence.modRevision === session.modRevision) return;
    this.#queues.set(session.id, { nodeId: session.id, fence: session, rows: new Map(), flight: undefined });
  }

  drop(nodeId: string): void {
    this.#queues.delete(nodeId);
  }

  /** Passed over where the node has no fence (any longer). */
  put<T extends FencedTable>(nodeId: string, table: T, id: string, aspect: string, make: Make<TableTypes[T]>): void {
    const queue = this.#queues.get(nodeId);
    if (queue === undefined || this.#stopped) return;
    addMake(queue, table, id, aspect, make);
    this.#window.trigger();
  }

  stop(): void {
    this.#stopped = true;
    this.#window.stop();
    this.#resting?.cancel();
    this.#queues.clear();
  }

  #pump(): void {
    while (this.#inFlight < MAX_IN_FLIGHT && this.#resting === undefined && !this.#stopped) {
      const builder = new TransactionBuilder();
      const taken = this.#take(builder);
      if (taken.length === 0) return;
      this.#inFlight++;
      void this.#send(builder, taken);
    }
  }

  /** Takes whole nodes, oldest queue first, as far as one transaction has room. */
  #take(builder: TransactionBuilder): Taken[] {
    const { maxListLength, maxBytes } = this.#options.store.limits;
    // Besides a row and its fence there is the record of events.
    const hasRoom = (): boolean => builder.size.compares + 3 <= maxListLength && builder.size.bytes < maxBytes / 2;
    const record = new ChangeRecord(this.#options.state, this.#options.clock.wallMs());
    const taken: Taken[] = [];
    for (const queue of this.#queues.values()) {
      if (queue.flight !== undefined || queue.rows.size === 0) continue;
      if (!hasRoom()) break;
      const rows: PendingRow[] = [];
      for (const [key, row] of queue.rows) {
        if (!hasRoom()) break;
        queue.rows.delete(key);
        if (this.#write(builder, queue, row, record)) rows.push(row);
      }
      if (rows.length === 0) continue;
      queue.flight = taken;
      taken.push({ queue, rows });
    }
    this.#addEvents(builder, record);
    return taken;
  }

  #write(builder: TransactionBuilder, queue: NodeQueue, row: PendingRow, record: ChangeRecord): boolean {
    const before = this.#options.state.get(row.table, row.id);
    let value: TableTypes[FencedTable] | undefined = before?.value;
    for (const make of row.makes.values()) value = (make(value) as TableTypes[FencedTable] | undefined) ?? value;
    if (value === undefined || value === before?.value) return false;
    builder.require('sessions', queue.fence);
    builder.put(row.table, row.id, value, before);
    if (row.table === 'taskStatus') record.noteTaskStatus(before?.value as TaskStatus | undefined, value as TaskStatus);
    else record.noteNodeStatus(before?.value as NodeStatus | undefined, value as NodeStatus);
    return true;
  }

  #addEvents(builder: TransactionBuilder, record: ChangeRecord): void {
    const made = record.build();
    if (made === undefined) return;
    const { clock, ids } = this.#options;
    builder.event(`${String(clock.wallMs()).padStart(14, '0')}-${ids.next().slice(0, 12)}`, made.events, made.tasks);
  }

  async #send(builder: TransactionBuilder, taken: readonly Taken[]): Promise<void> {
    const { store, state, log } = this.#options;
    try {
      const result = await commitTo(store, state, builder);
      this.#retry.reset();
      if (result.committed) this.#options.onCommit?.(builder.size.ops);
      else await this.#resolveConflict(taken, result);
    } catch (error) {
      log.warn('statuses could not be written; trying again', { rows: builder.size.ops, reason: messageOf(error) });
      this.#putBack(taken);
      this.#rest();
    } finally {
      this.#inFlight--;
      release(taken, taken);
      this.#window.trigger();
    }
  }

  /** Waits, with the nodes concerned, until the state is as new as the conflict; nodes that only shared the transaction go on at once. */
  async #resolveConflict(taken: readonly Taken[], { revision, failed }: CommitResult & { readonly committed: false }): Promise<void> {
    const keys = new Set(failed.map((compare) => compare.key));
    this.#putBack(taken);
    release(
      taken,
      taken.filter(({ queue, rows }) => !keys.has(sessionKey(queue)) && !rows.some((row) => keys.has(keyOf(row.table, row.id)))),
    );
    this.#window.trigger();
    // Where it does not get there, the next attempt finds the same conflict.
    await this.#options.state.reached(revision, CATCH_UP_MS).catch(() => undefined);
    this.#dropFenced(taken, keys);
  }

  /** What was replaced while it was under way stays replaced. */
  #putBack(taken: readonly Taken[]): void {
    for (const { queue, rows } of taken) {
      for (const row of rows) {
        const newer = queue.rows.get(rowKey(row));
        if (newer === undefined) queue.rows.set(rowKey(row), row);
        else for (const [aspect, make] of row.makes) if (!newer.makes.has(aspect)) newer.makes.set(aspect, make);
      }
    }
  }

  /** The state is as new as the conflict: where its session row is another one, somebody else speaks for the node. */
  #dropFenced(taken: readonly Taken[], failed: ReadonlySet<string>): void {
    for (const { queue } of taken) {
      if (!failed.has(sessionKey(queue))) continue;
      if (this.#options.state.get('sessions', queue.nodeId)?.modRevision === queue.fence.modRevision) continue;
      queue.rows.clear();
      if (this.#queues.get(queue.nodeId) === queue) this.#queues.delete(queue.nodeId);
      this.#options.onFenced?.(queue.nodeId);
    }
  }

  #rest(): void {
    if (this.#resting !== undefined || this.#stopped) return;
    this.#resting = this.#options.clock.after(this.#retry.nextMs(), () => {
      this.#resting = undefined;
      this.#pump();
    });
  }
}

function addMake<T extends FencedTable>(queue: NodeQueue, table: T, id: string, aspect: string, make: Make<TableTypes[T]>): void {
  const key = rowKey({ table, id });
  let row = queue.rows.get(key);
  if (row === undefined) {
    row = { table, id, makes: new Map() };
    queue.rows.set(key, row);
  }
  row.makes.delete(aspect);
  row.makes.set(aspect, make as unknown as Make<unknown>);
}

function release(flight: readonly Taken[], which: readonly Taken[]): void {
  for (const { queue } of which) if (queue.flight === flight) queue.flight = undefined;
}

function sessionKey(queue: NodeQueue): string {
  return keyOf('sessions', queue.nodeId);
}

function rowKey(row: Pick<PendingRow, 'table' | 'id'>): string {
  return `${row.table}/${row.id}`;
}
