// Packs write groups into fenced transactions and sends several at once. Groups stay whole; transactions are independent.
import type { Ids } from '../../lib/ids.ts';
import type { Clock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Task } from '../../proto/index.ts';
import { ChangeRecord } from '../events/index.ts';
import type { PlannedWrite, WriteGroup } from '../orchestrator/plan.ts';
import { type ClusterState, commitTo, type Row, TransactionBuilder } from '../state/index.ts';
import type { Store } from '../store/store.ts';
import type { Leadership } from './leadership.ts';

export interface CommitterOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly ids: Ids;
}

/** How one transaction's groups ended; `error` undefined and `committed` false: something had changed meanwhile. */
export interface BatchResult {
  readonly groups: readonly WriteGroup[];
  readonly committed: boolean;
  readonly error: ShoalError | undefined;
}

/** Transactions under way at once: etcd gains little from more (baselines.md). */
const MAX_IN_FLIGHT = 16;
/** Room that fence, route floor and event row take of a transaction's lists. */
const RESERVED = 3;

export class Committer {
  readonly #options: CommitterOptions;
  #inFlight = 0;
  readonly #waiting: (() => void)[] = [];
  #eventNumber = 0;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** Commits all groups; `onResult` hears of each transaction as it ends. Resolves when all have. Never rejects. */
  async commit(groups: readonly WriteGroup[], onResult: (result: BatchResult) => void): Promise<void> {
    const batches = pack(groups, this.#options.store.limits.maxListLength - RESERVED);
    await Promise.all(
      batches.map(async (batch) => {
        await this.#slot();
        try {
          await this.#send(batch, onResult);
        } finally {
          this.#inFlight--;
          this.#waiting.shift()?.();
        }
      }),
    );
  }

  async #slot(): Promise<void> {
    while (this.#inFlight >= MAX_IN_FLIGHT) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    this.#inFlight++;
  }

  async #send(groups: readonly WriteGroup[], onResult: (result: BatchResult) => void): Promise<void> {
    const { store, state, leadership } = this.#options;
    try {
      const builder = this.#build(groups);
      if (groups.length > 1 && builder.size.bytes > store.limits.maxBytes) {
        const middle = Math.ceil(groups.length / 2);
        await this.#send(groups.slice(0, middle), onResult);
        await this.#send(groups.slice(middle), onResult);
        return;
      }
      const { committed } = await commitTo(store, state, builder, leadership.ended);
      onResult({ groups, committed, error: undefined });
    } catch (error) {
      onResult({ groups, committed: false, error: ShoalError.from(error) });
    }
  }

  #build(groups: readonly WriteGroup[]): TransactionBuilder {
    const builder = this.#options.leadership.fence(new TransactionBuilder());
    const record = new ChangeRecord(this.#options.state, this.#options.clock.wallMs());
    for (const group of groups) {
      addGroup(builder, group);
      record.addEvents(group.events);
      for (const write of group.writes) noteTask(record, write);
    }
    this.#addEvents(builder, record);
    if (groups.some((group) => group.writes.some((write) => write.kind === 'delete'))) {
      builder.overwrite('routeFloor', '', { objectId: '' });
    }
    return builder;
  }

  #addEvents(builder: TransactionBuilder, record: ChangeRecord): void {
    const made = record.build();
    if (made === undefined) return;
    const { clock, ids } = this.#options;
    this.#eventNumber++;
    const order = `${String(clock.wallMs()).padStart(14, '0')}-${String(this.#eventNumber).padStart(8, '0')}`;
    builder.event(`${order}-${ids.next().slice(0, 6)}`, made.events, made.tasks);
  }
}

function noteTask(record: ChangeRecord, write: PlannedWrite): void {
  if (write.table !== 'tasks') return;
  const before = (write.kind === 'put' ? write.before : write.row) as Row<Task> | undefined;
  record.noteTask(before?.value, write.kind === 'put' ? (write.value as Task) : undefined);
}

function addGroup(builder: TransactionBuilder, group: WriteGroup): void {
  for (const required of group.requires) builder.require(required.table, required.row, required.id);
  for (const write of group.writes) {
    if (write.kind === 'put') builder.put(write.table, write.id, write.value, write.before);
    else builder.delete(write.table, write.row);
  }
}

/** By number of entries; few transactions are too large in bytes, and those are split when they are made. */
function pack(groups: readonly WriteGroup[], maxLength: number): WriteGroup[][] {
  const batches: WriteGroup[][] = [];
  let batch: WriteGroup[] = [];
  let used = 0;
  for (const group of groups) {
    const length = lengthOf(group);
    if (batch.length > 0 && used + length > maxLength) {
      batches.push(batch);
      batch = [];
      used = 0;
    }
    batch.push(group);
    used += length;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

function lengthOf(group: WriteGroup): number {
  return group.writes.length + group.requires.length;
}
