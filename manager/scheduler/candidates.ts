// The nodes that may take tasks of one shape, best first: fewest tasks, then most free resources, then longest known.
//
// A heap whose keys may lag behind. Within the inventory's promise a node only becomes worse unnoticed, so a stored key is never worse than the
// true one: the top is brought up to date until it is true, and then nothing can be better. What may have become better is replayed from the
// inventory's list before each use. A node without room leaves the heap until it is on that list. So a placement costs O(log n).
import { freeScore, type Inventory, type NodeEntry } from './inventory.ts';
import { hasRoom, isKind } from './filters.ts';
import { coarseKeyOf, roundDown, type Shape } from './shape.ts';

interface Slot {
  readonly entry: NodeEntry;
  tasks: number;
  score: number;
}

export class ShapeCandidates {
  /** What every task that uses these candidates needs at least. */
  readonly #least: Shape;
  readonly #inventory: Inventory;
  #heap: Slot[] = [];
  /** By node index: its place in the heap + 1; 0: it is not there. */
  #places = new Int32Array(0);
  #seen = -1;
  #usedAt = 0;

  constructor(inventory: Inventory, least: Shape) {
    this.#inventory = inventory;
    this.#least = least;
  }

  /** Orders the candidates of one inventory by their last use. */
  get usedAt(): number {
    return this.#usedAt;
  }

  /** To be called before use, whenever anything but `place` may have changed the inventory. */
  refresh(): void {
    const inventory = this.#inventory;
    this.#usedAt = inventory.nextUse();
    if (this.#seen === inventory.improvementCount && inventory.indexBound <= this.#places.length) return;
    const improved = this.#seen < 0 || inventory.indexBound > this.#places.length ? undefined : inventory.improvementsSince(this.#seen);
    this.#seen = inventory.improvementCount;
    if (improved === undefined || improved.length > this.#places.length) this.#rebuild();
    else for (const index of improved) this.#renew(index);
  }

  /** The best node by order alone, with its key up to date; undefined: none has room. */
  top(): NodeEntry | undefined {
    for (;;) {
      const slot = this.#heap[0];
      if (slot === undefined) return undefined;
      const { entry } = slot;
      if (!hasRoom(this.#least, entry, 0)) {
        this.#removeAt(0);
        continue;
      }
      const score = freeScore(entry);
      if (slot.tasks === entry.tasks && slot.score === score) return entry;
      slot.tasks = entry.tasks;
      slot.score = score;
      this.#sink(0);
    }
  }

  /** Takes the top out, to be given back by `giveBack`. */
  takeTop(): void {
    this.#removeAt(0);
  }

  giveBack(entries: readonly NodeEntry[]): void {
    for (const entry of entries) this.#insert(entry);
  }

  #rebuild(): void {
    this.#places = new Int32Array(this.#inventory.indexBound);
    this.#heap = [];
    for (const entry of this.#inventory.nodes()) {
      if (isKind(this.#least, entry) && hasRoom(this.#least, entry, 0)) this.#heap.push(slotOf(entry));
    }
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
    for (let at = 0; at < this.#heap.length; at++) this.#note(at);
  }

  #renew(index: number): void {
    const at = (this.#places[index] ?? 0) - 1;
    if (at >= 0) this.#removeAt(at);
    const entry = this.#inventory.entryAt(index);
    if (entry !== undefined && isKind(this.#least, entry)) this.#insert(entry);
  }

  #insert(entry: NodeEntry): void {
    if (!hasRoom(this.#least, entry, 0)) return;
    this.#heap.push(slotOf(entry));
    this.#rise(this.#heap.length - 1);
  }

  #removeAt(at: number): void {
    const removed = this.#heap[at];
    const last = this.#heap.pop();
    if (removed === undefined || last === undefined) return;
    this.#places[removed.entry.index] = 0;
    if (removed === last) return;
    this.#heap[at] = last;
    this.#rise(at);
    this.#sink((this.#places[last.entry.index] ?? 1) - 1);
  }

  #note(at: number): void {
    const slot = this.#heap[at];
    if (slot !== undefined) this.#places[slot.entry.index] = at + 1;
  }

  #rise(from: number): void {
    const heap = this.#heap;
    const slot = heap[from] as Slot;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Slot;
      if (!isBefore(slot, above)) break;
      heap[at] = above;
      this.#note(at);
      at = parent;
    }
    heap[at] = slot;
    this.#note(at);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const slot = heap[from] as Slot;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Slot, heap[child] as Slot)) child++;
      if (!isBefore(heap[child] as Slot, slot)) break;
      heap[at] = heap[child] as Slot;
      this.#note(at);
      at = child;
    }
    heap[at] = slot;
    this.#note(at);
  }
}

function slotOf(entry: NodeEntry): Slot {
  return { entry, tasks: entry.tasks, score: freeScore(entry) };
}

function isBefore(one: Slot, other: Slot): boolean {
  if (one.tasks !== other.tasks) return one.tasks < other.tasks;
  if (one.score !== other.score) return one.score > other.score;
  return one.entry.order < other.entry.order;
}

/** Places in all heaps of one inventory together; each takes about 60 bytes. */
const MAX_PLACES = 1_000_000;
const MIN_SHAPES = 8;
const MAX_SHAPES = 256;

/**
 * The ordering for a shape, made if there is none, and refreshed. While there are few shapes each has its own; where there are many (every service
 * with amounts of its own), shapes of about the same size share one, so that a new amount does not cost a pass over all nodes.
 */
export function candidatesFor(inventory: Inventory, shape: Shape): ShapeCandidates {
  const { shapes } = inventory;
  const bound = Math.max(MIN_SHAPES, Math.min(MAX_SHAPES, Math.floor(MAX_PLACES / Math.max(1, inventory.nodeCount))));
  const isFull = shapes.size >= bound / 2;
  const key = isFull && !shapes.has(shape.key) ? coarseKeyOf(shape) : shape.key;
  let candidates = shapes.get(key);
  if (candidates === undefined) {
    if (shapes.size >= bound) forgetLeastUsed(shapes);
    candidates = new ShapeCandidates(inventory, key === shape.key ? shape : coarse(shape));
    shapes.set(key, candidates);
  }
  candidates.refresh();
  return candidates;
}

function forgetLeastUsed(shapes: Map<string, ShapeCandidates>): void {
  let oldest: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const [key, { usedAt }] of shapes) {
    if (usedAt >= least) continue;
    oldest = key;
    least = usedAt;
  }
  if (oldest !== undefined) shapes.delete(oldest);
}

function coarse(shape: Shape): Shape {
  return { ...shape, nanoCpus: roundDown(shape.nanoCpus), memoryBytes: roundDown(shape.memoryBytes), hostPorts: [] };
}
