// Picks nodes for the tasks of one service and spec, one after the other.
//
// First come the nodes that have no task of the service and on which it does not keep failing: they are the best of the shape's ordering
// (candidates.ts), shared with all other services. The others are ordered for this group alone; they are as many as the service has tasks.
import { Heap } from '../../lib/heap.ts';
import { candidatesFor, type ShapeCandidates } from './candidates.ts';
import { hasRoom, isKind } from './filters.ts';
import { freeScore, type Inventory, type NodeEntry } from './inventory.ts';
import type { Shape } from './shape.ts';

/** A node that has tasks of the service, or got one just now, or on which the service keeps failing. */
interface KnownNode {
  readonly entry: NodeEntry;
  readonly isFailing: boolean;
  copies: number;
}

export class GroupPicker {
  readonly #inventory: Inventory;
  readonly #shape: Shape;
  readonly #knownBefore: ReadonlySet<NodeEntry>;
  /** Made when it is needed: most groups are one task of a service that has no other. */
  #known: Heap<KnownNode> | undefined;
  #fresh: ShapeCandidates | undefined;
  #isFreshOver = false;
  /** Nodes that the shape's ordering gets back at the end. */
  #taken: NodeEntry[] | undefined;

  constructor(inventory: Inventory, shape: Shape, group: { readonly serviceId: string; readonly specNumber: number }, nowMs: number) {
    this.#inventory = inventory;
    this.#shape = shape;
    const known = knownNodes(inventory, group.serviceId, group.specNumber, nowMs);
    this.#knownBefore = known.length === 0 ? NO_ENTRIES : new Set(known.map(({ entry }) => entry));
    if (known.length > 0)
      this.#known = new Heap(
        compare,
        known.filter(({ entry }) => isKind(shape, entry)),
      );
  }

  /** The best node for the next task; undefined: none takes it. `isLast`: no other task of the group follows. */
  next(isLast: boolean): NodeEntry | undefined {
    const entry = this.#isFreshOver ? undefined : this.#nextFresh(isLast);
    if (entry !== undefined) return entry;
    this.#isFreshOver = true;
    for (;;) {
      const top = this.#known?.peek();
      if (top === undefined || hasRoom(this.#shape, top.entry, top.copies)) return top?.entry;
      this.#known?.pop();
    }
  }

  /** The task went to the node that `next` gave. */
  placed(entry: NodeEntry): void {
    if (!this.#isFreshOver) {
      if (this.#taken?.at(-1) !== entry) return;
      this.#known ??= new Heap(compare);
      this.#known.push({ entry, isFailing: false, copies: 1 });
      return;
    }
    const top = this.#known?.peek();
    if (top?.entry !== entry) return;
    top.copies++;
    this.#known?.topGrew();
  }

  end(): void {
    if (this.#taken !== undefined) this.#fresh?.giveBack(this.#taken);
  }

  #nextFresh(isLast: boolean): NodeEntry | undefined {
    this.#fresh ??= candidatesFor(this.#inventory, this.#shape);
    for (;;) {
      const entry = this.#fresh.top();
      if (entry === undefined) return undefined;
      const fits = !this.#knownBefore.has(entry) && hasRoom(this.#shape, entry, 0);
      // The last one may stay: its key is brought up to date when it is looked at next.
      if (fits && isLast) return entry;
      this.#fresh.takeTop();
      (this.#taken ??= []).push(entry);
      if (fits) return entry;
    }
  }
}

/** Nodes on which it keeps failing last; then fewest tasks of the service, fewest tasks, most free resources, longest known. */
function compare(one: KnownNode, other: KnownNode): number {
  if (one.isFailing !== other.isFailing) return one.isFailing ? 1 : -1;
  if (one.copies !== other.copies) return one.copies - other.copies;
  if (one.entry.tasks !== other.entry.tasks) return one.entry.tasks - other.entry.tasks;
  return freeScore(other.entry) - freeScore(one.entry) || one.entry.order - other.entry.order;
}

const NO_ENTRIES: ReadonlySet<NodeEntry> = new Set();
const NO_NODES: KnownNode[] = [];

function knownNodes(inventory: Inventory, serviceId: string, specNumber: number, nowMs: number): readonly KnownNode[] {
  const nodes = inventory.nodesOfService(serviceId);
  const failing = inventory.failures.failing(serviceId, specNumber, nowMs);
  if (nodes === undefined && failing.length === 0) return NO_NODES;
  const isFailing = new Set(failing);
  const known: KnownNode[] = [...(nodes ?? [])].map(([entry, copies]) => ({ entry, copies, isFailing: isFailing.has(entry.id) }));
  for (const nodeId of failing) {
    const entry = inventory.entryOf(nodeId);
    if (entry !== undefined && nodes?.has(entry) !== true) known.push({ entry, copies: 0, isFailing: true });
  }
  return known;
}
