// The store as a pure state machine: no I/O, no time, no waiting. A stage evaluates requests against the state and what it has
// staged before them; publishing it makes all of that visible at once, dropping it leaves no trace. So a driver can write
// the changes to disk in between.
import { ShoalError } from '../../../lib/errors.ts';
import type { CommitResult, Compare, KeyValue, LeaseId, Op, Revision, Transaction, WatchEvent } from '../store.ts';
import type { Change, EngineImage, Item } from './change.ts';
import { History, type HistoryLimits } from './history.ts';

/** As etcd: an empty store is at revision 1, the first transaction makes 2. */
const FIRST_REVISION = 1;

export const EMPTY_IMAGE: EngineImage = { revision: FIRST_REVISION, nextLease: 1, leases: [], items: [] };

export const DEFAULT_HISTORY: HistoryLimits = { maxRevisions: 100_000, maxBytes: 64 * 1024 * 1024 };

interface LeaseState {
  readonly ttlMs: number;
  readonly keys: Set<string>;
}

export class Engine {
  readonly history: History;
  readonly #items = new Map<string, Item>();
  readonly #leases = new Map<LeaseId, LeaseState>();
  #revision: Revision;
  #nextLease: number;

  constructor(image: EngineImage = EMPTY_IMAGE, limits: HistoryLimits = DEFAULT_HISTORY) {
    this.#revision = image.revision;
    this.#nextLease = image.nextLease;
    this.history = new History(image.revision, limits);
    for (const lease of image.leases) this.#leases.set(lease.id, { ttlMs: lease.ttlMs, keys: new Set() });
    for (const item of image.items) this.#set(item);
  }

  get revision(): Revision {
    return this.#revision;
  }

  get nextLease(): number {
    return this.#nextLease;
  }

  item(key: string): Item | undefined {
    return this.#items.get(key);
  }

  /** Everything below the prefix, sorted by key. */
  list(prefix: string): KeyValue[] {
    const found: KeyValue[] = [];
    for (const item of this.#items.values()) {
      if (item.key.startsWith(prefix)) found.push(item);
    }
    return found.sort(byKey);
  }

  leases(): { readonly id: LeaseId; readonly ttlMs: number }[] {
    return [...this.#leases].map(([id, lease]) => ({ id, ttlMs: lease.ttlMs }));
  }

  hasLease(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  leaseKeys(id: LeaseId): Iterable<string> {
    return this.#leases.get(id)?.keys ?? [];
  }

  image(): EngineImage {
    return { revision: this.#revision, nextLease: this.#nextLease, leases: this.leases(), items: [...this.#items.values()] };
  }

  stage(): Stage {
    return new Stage(this);
  }

  /** Throws `internal` for a change that cannot follow the present state: the recording is damaged. */
  apply(change: Change): void {
    switch (change.type) {
      case 'commit': {
        this.#advance(change.revision);
        const events: WatchEvent[] = [];
        for (const op of change.ops) this.#applyOp(op, change.revision, events);
        this.history.append(events);
        return;
      }
      case 'grant':
        this.#leases.set(change.leaseId, { ttlMs: change.ttlMs, keys: new Set() });
        this.#nextLease = Math.max(this.#nextLease, Number(change.leaseId) + 1);
        return;
      case 'end': {
        const keys = [...this.leaseKeys(change.leaseId)].sort();
        if (keys.length > 0) {
          this.#advance(change.revision);
          const events: WatchEvent[] = [];
          for (const key of keys) this.#applyOp({ type: 'delete', key }, change.revision, events);
          this.history.append(events);
        }
        this.#leases.delete(change.leaseId);
      }
    }
  }

  #advance(revision: Revision): void {
    if (revision !== this.#revision + 1) {
      throw new ShoalError('internal', `a change of revision ${revision} cannot follow revision ${this.#revision}`);
    }
    this.#revision = revision;
  }

  #applyOp(op: Op, revision: Revision, events: WatchEvent[]): void {
    const { key } = op;
    const before = this.#items.get(key);
    if (op.type === 'put') {
      const item = written(op, before, revision);
      if (before !== undefined) this.#detach(before);
      this.#set(item);
      events.push({ type: 'put', item });
      return;
    }
    if (before === undefined) return;
    this.#detach(before);
    this.#items.delete(key);
    events.push({ type: 'delete', key, modRevision: revision });
  }

  #set(item: Item): void {
    this.#items.set(item.key, item);
    if (item.leaseId !== undefined) this.#leases.get(item.leaseId)?.keys.add(item.key);
  }

  #detach(item: Item): void {
    if (item.leaseId !== undefined) this.#leases.get(item.leaseId)?.keys.delete(item.key);
  }
}

/** Requests evaluated one after another, each seeing the ones before it; nothing outside sees any of them. */
export class Stage {
  readonly changes: Change[] = [];
  readonly #engine: Engine;
  /** Undefined: deleted here. */
  readonly #items = new Map<string, Item | undefined>();
  /** False: ended here. */
  readonly #leases = new Map<LeaseId, boolean>();
  /** The last commit, not in #items yet: where no request follows in this stage, nobody reads it. */
  #unread: { readonly ops: readonly Op[]; readonly revision: Revision } | undefined;
  #revision: Revision;
  #nextLease: number;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#revision = engine.revision;
    this.#nextLease = engine.nextLease;
  }

  /** Throws `failed_precondition` where a put names a lease that is gone; nothing is staged then. */
  commit(transaction: Transaction): CommitResult {
    this.#take();
    const failed = transaction.compare.filter((compare) => !this.#holds(compare));
    if (failed.length > 0) return { committed: false, revision: this.#revision, failed };
    for (const op of transaction.ops) {
      if (op.type === 'put' && op.leaseId !== undefined && !this.#hasLease(op.leaseId)) throw leaseGone(op.leaseId);
    }
    const revision = this.#revision + 1;
    this.#unread = { ops: transaction.ops, revision };
    this.#revision = revision;
    this.changes.push({ type: 'commit', revision, ops: transaction.ops });
    return { committed: true, revision };
  }

  grant(ttlMs: number): LeaseId {
    const leaseId = String(this.#nextLease);
    this.#nextLease += 1;
    this.#leases.set(leaseId, true);
    this.changes.push({ type: 'grant', leaseId, ttlMs });
    return leaseId;
  }

  /** Deletes the lease and its keys; false where it is gone already. */
  end(leaseId: LeaseId): boolean {
    this.#take();
    if (!this.#hasLease(leaseId)) return false;
    const keys = new Set([...this.#engine.leaseKeys(leaseId), ...this.#items.keys()]);
    let revision = 0;
    for (const key of keys) {
      if (this.#item(key)?.leaseId !== leaseId) continue;
      revision = this.#revision + 1;
      this.#items.set(key, undefined);
    }
    if (revision > 0) this.#revision = revision;
    this.#leases.set(leaseId, false);
    this.changes.push({ type: 'end', leaseId, revision });
    return true;
  }

  #take(): void {
    if (this.#unread === undefined) return;
    const { ops, revision } = this.#unread;
    this.#unread = undefined;
    for (const op of ops) this.#items.set(op.key, op.type === 'put' ? written(op, this.#item(op.key), revision) : undefined);
  }

  #holds(compare: Compare): boolean {
    return compareHolds(compare, this.#item(compare.key));
  }

  #item(key: string): Item | undefined {
    const staged = this.#items.get(key);
    return staged !== undefined || this.#items.has(key) ? staged : this.#engine.item(key);
  }

  #hasLease(id: LeaseId): boolean {
    return this.#leases.get(id) ?? this.#engine.hasLease(id);
  }
}

/** Against what the store has under that key; `undefined` counts as revision 0. */
export function compareHolds(compare: Compare, item: Pick<KeyValue, 'createRevision' | 'modRevision'> | undefined): boolean {
  return 'modRevision' in compare
    ? compare.modRevision === (item?.modRevision ?? 0)
    : compare.createRevision === (item?.createRevision ?? 0);
}

export function leaseGone(leaseId: LeaseId): ShoalError {
  return new ShoalError('failed_precondition', `lease ${leaseId} has expired or was revoked, so nothing was written; take a new lease`);
}

function written(
  op: { readonly key: string; readonly value: Uint8Array; readonly leaseId?: LeaseId },
  before: Item | undefined,
  revision: Revision,
): Item {
  return {
    key: op.key,
    value: op.value,
    createRevision: before?.createRevision ?? revision,
    modRevision: revision,
    leaseId: op.leaseId,
  };
}

/** By UTF-16 units; for the ASCII keys in use that is also the order of etcd. */
function byKey(left: KeyValue, right: KeyValue): number {
  return left.key < right.key ? -1 : 1;
}
