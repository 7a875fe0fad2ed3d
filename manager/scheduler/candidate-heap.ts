// A heap of nodes, or of branches of nodes, best first: fewest points against it, then fewest tasks, then most free resources, then longest known.
//
// Its keys may lag behind. Within the inventory's promise a node only becomes worse unnoticed, so a stored key is never worse than the true one: the
// top is brought up to date until it is true, and then nothing can be better. A branch is as good as its best node, and so the same holds for it.
import { hasRoom } from './filters.ts';
import { freeScore, type Inventory, type NodeEntry } from './inventory.ts';
import { affinityOf } from './preferences.ts';
import type { Shape } from './shape.ts';

export interface Slot {
  /** The node itself, or the best of the branch when it was last looked at. */
  best: NodeEntry;
  readonly branch: CandidateHeap | undefined;
  readonly owner: CandidateHeap;
  points: number;
  tasks: number;
  score: number;
  order: number;
  /** In its owner; -1: not there. */
  place: number;
}

export interface CandidateRules {
  readonly inventory: Inventory;
  /** What a node must have room for. */
  readonly least: Shape;
}

export class CandidateHeap {
  /** Where this is a branch of another heap. */
  readonly up: { readonly owner: CandidateHeap; slot: Slot | undefined } | undefined;
  /** Those below, by their value; empty where this holds nodes. */
  readonly branches = new Map<string, CandidateHeap>();
  readonly #rules: CandidateRules;
  readonly #least: Shape;
  readonly #heap: Slot[] = [];

  constructor(rules: CandidateRules, owner?: CandidateHeap) {
    this.#rules = rules;
    this.#least = rules.least;
    this.up = owner && { owner, slot: undefined };
  }

  /** The best one, with its key up to date; undefined: none has room. */
  top(): Slot | undefined {
    for (;;) {
      const slot = this.#heap[0];
      if (slot === undefined) return undefined;
      if (!this.#isAlive(slot)) {
        this.#removeAt(0);
        continue;
      }
      if (!this.#update(slot)) return slot;
      this.#sink(0);
    }
  }

  branch(value: string): CandidateHeap {
    let branch = this.branches.get(value);
    if (branch === undefined) {
      branch = new CandidateHeap(this.#rules, this);
      this.branches.set(value, branch);
    }
    return branch;
  }

  /** A node that was not here before; undefined: it has no room. */
  add(entry: NodeEntry): Slot | undefined {
    if (!hasRoom(this.#least, entry, 0)) return undefined;
    const slot = this.#slotOf(entry, undefined);
    this.#insert(slot);
    this.#tellUp();
    return slot;
  }

  /** It may have become better, or was taken out. */
  giveBack(slot: Slot): void {
    this.remove(slot);
    if (!this.#isAlive(slot)) return;
    this.#update(slot);
    this.#insert(slot);
    this.#tellUp();
  }

  /** Takes it out, to be given back by `giveBack`. */
  remove(slot: Slot): void {
    if (slot.place >= 0) this.#removeAt(slot.place);
  }

  #slotOf(best: NodeEntry, branch: CandidateHeap | undefined): Slot {
    const points = this.#pointsOf(best);
    return { best, branch, owner: this, points, tasks: best.tasks, score: freeScore(best), order: best.order, place: -1 };
  }

  #tellUp(): void {
    if (this.up === undefined) return;
    const { owner, slot } = this.up;
    if (slot !== undefined) {
      owner.giveBack(slot);
      return;
    }
    const top = this.top();
    if (top === undefined) return;
    this.up.slot = owner.#slotOf(top.best, this);
    owner.#insert(this.up.slot);
    owner.#tellUp();
  }

  /** Against it, whatever is of the task's own service there. */
  #pointsOf(entry: NodeEntry): number {
    const { affinities } = this.#least.preferences;
    return affinities.length === 0 ? 0 : -affinityOf(this.#rules.inventory, affinities, entry);
  }

  #isAlive(slot: Slot): boolean {
    return slot.branch === undefined ? hasRoom(this.#least, slot.best, 0) : slot.branch.top() !== undefined;
  }

  /** Whether its key changed. The slot has to be alive. */
  #update(slot: Slot): boolean {
    const best = slot.branch?.top()?.best ?? slot.best;
    const points = this.#pointsOf(best);
    const score = freeScore(best);
    if (slot.best === best && slot.tasks === best.tasks && slot.score === score && slot.points === points) return false;
    slot.best = best;
    slot.points = points;
    slot.tasks = best.tasks;
    slot.score = score;
    slot.order = best.order;
    return true;
  }

  #insert(slot: Slot): void {
    this.#heap.push(slot);
    this.#rise(this.#heap.length - 1);
  }

  #removeAt(at: number): void {
    const removed = this.#heap[at];
    const last = this.#heap.pop();
    if (removed === undefined || last === undefined) return;
    removed.place = -1;
    if (removed === last) return;
    this.#heap[at] = last;
    this.#rise(at);
    this.#sink(last.place);
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
      above.place = at;
      at = parent;
    }
    heap[at] = slot;
    slot.place = at;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const slot = heap[from] as Slot;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Slot, heap[child] as Slot)) child++;
      const below = heap[child] as Slot;
      if (!isBefore(below, slot)) break;
      heap[at] = below;
      below.place = at;
      at = child;
    }
    heap[at] = slot;
    slot.place = at;
  }
}

function isBefore(one: Slot, other: Slot): boolean {
  if (one.points !== other.points) return one.points < other.points;
  if (one.tasks !== other.tasks) return one.tasks < other.tasks;
  if (one.score !== other.score) return one.score > other.score;
  return one.order < other.order;
}
