// The nodes of one branch of the spread tree as one group of tasks sees them: which of them is next.
//
// Beside the shape's ordering (candidate-heap.ts), which all services share, stand the nodes that are special to the group: those with tasks of the
// service, and the branches that these are in. They are ordered for this group alone, and are as many as the service has tasks.
import { Heap } from '../../lib/heap.ts';
import type { CandidateHeap, Slot } from './candidate-heap.ts';
import { hasRoom } from './filters.ts';
import { freeScore, type Inventory, type NodeEntry } from './inventory.ts';
import { affinityOf, branchValue, POINTS_PER_COPY } from './preferences.ts';
import type { Shape } from './shape.ts';

/** What all regions of a group share. */
export interface GroupView {
  readonly inventory: Inventory;
  readonly shape: Shape;
  /** Not to be had from the shared ordering. */
  special: Set<NodeEntry> | undefined;
  /** Out of the shared ordering until the group is done. */
  taken: Slot[] | undefined;
}

/** A node with tasks of the service, or one that is to be had from here only. */
export interface SpecialNode {
  readonly entry: NodeEntry;
  /** Active tasks of the service. */
  readonly copies: number;
  /** False: it counts for its branch, and takes nothing. */
  readonly isCandidate: boolean;
}

export interface Region {
  /** The next task's node; undefined: none takes it. */
  peek(): NodeEntry | undefined;
  /** What speaks against that node. */
  readonly points: number;
  /** The task went to the node that `peek` gave. `isLast`: no other follows, nothing needs to be kept in order. */
  placed(isLast: boolean): void;
}

/** `level` counts the keys of the spread above. `shared` undefined: only special nodes will do. */
export function regionOf(view: GroupView, shared: CandidateHeap | undefined, level: number, special: readonly SpecialNode[]): Region {
  const key = view.shape.preferences.spread[level];
  if (key === undefined) return new Leaf(view, shared, special);
  const byValue = new Map<string, SpecialNode[]>();
  for (const node of special) {
    const value = branchValue(key, node.entry);
    const list = byValue.get(value);
    if (list === undefined) byValue.set(value, [node]);
    else list.push(node);
  }
  return new Fork(view, shared, level, byValue);
}

interface KnownNode {
  readonly entry: NodeEntry;
  copies: number;
  points: number;
}

class Leaf implements Region {
  points = 0;
  readonly #view: GroupView;
  #shared: CandidateHeap | undefined;
  /** Made when it is needed: most groups are one task of a service that has no other. */
  #known: Heap<KnownNode> | undefined;
  /** What `peek` found, if it is the shared ordering's. */
  #sharedPick: Slot | undefined;

  constructor(view: GroupView, shared: CandidateHeap | undefined, special: readonly SpecialNode[]) {
    this.#view = view;
    this.#shared = shared;
    if (special.length === 0) return;
    const known = special.filter(({ isCandidate }) => isCandidate);
    this.#known = new Heap(
      compareKnown,
      known.map(({ entry, copies }) => ({ entry, copies, points: this.#pointsOf(entry, copies) })),
    );
  }

  peek(): NodeEntry | undefined {
    const slot = this.#peekShared();
    const known = this.#peekKnown();
    this.#sharedPick = undefined;
    if (known !== undefined && (slot === undefined || isKnownBefore(known, slot))) {
      this.points = known.points;
      return known.entry;
    }
    if (slot === undefined) return undefined;
    this.#sharedPick = slot;
    this.points = slot.points;
    return slot.best;
  }

  placed(isLast: boolean): void {
    const slot = this.#sharedPick;
    if (slot === undefined) {
      const known = this.#known?.peek();
      if (known === undefined) return;
      known.copies++;
      known.points = this.#pointsOf(known.entry, known.copies);
      this.#known?.topGrew();
      return;
    }
    // The last one may stay: its key is brought up to date when it is looked at next.
    if (isLast) return;
    take(this.#view, slot);
    this.#known ??= new Heap(compareKnown);
    this.#known.push({ entry: slot.best, copies: 1, points: this.#pointsOf(slot.best, 1) });
  }

  #peekShared(): Slot | undefined {
    const { shape } = this.#view;
    for (;;) {
      const slot = this.#shared?.top();
      if (slot === undefined) {
        this.#shared = undefined;
        return undefined;
      }
      if (hasRoom(shape, slot.best, 0) && this.#view.special?.has(slot.best) !== true) return slot;
      take(this.#view, slot);
    }
  }

  #peekKnown(): KnownNode | undefined {
    for (;;) {
      const top = this.#known?.peek();
      if (top === undefined || hasRoom(this.#view.shape, top.entry, top.copies)) return top;
      this.#known?.pop();
    }
  }

  #pointsOf(entry: NodeEntry, copies: number): number {
    const { inventory, shape } = this.#view;
    const { affinities } = shape.preferences;
    return POINTS_PER_COPY * copies - (affinities.length === 0 ? 0 : affinityOf(inventory, affinities, entry));
  }
}

/** Fewest points against it, then fewest tasks, then most free resources, then longest known. */
function compareKnown(one: KnownNode, other: KnownNode): number {
  return one.points - other.points || compareNodes(one.entry, other.entry);
}

function isKnownBefore(known: KnownNode, slot: Slot): boolean {
  return known.points !== slot.points ? known.points < slot.points : compareNodes(known.entry, slot.best) < 0;
}

function compareNodes(one: NodeEntry, other: NodeEntry): number {
  return one.tasks - other.tasks || freeScore(other) - freeScore(one) || one.order - other.order;
}

/** A branch that has tasks of the service, or a special node. */
interface Child {
  readonly region: Region;
  copies: number;
  pick: NodeEntry;
}

class Fork implements Region {
  points = 0;
  readonly #view: GroupView;
  readonly #shared: CandidateHeap | undefined;
  readonly #level: number;
  readonly #touched = new Set<CandidateHeap>();
  readonly #children: Heap<Child>;
  #sharedPick: Slot | undefined;

  constructor(view: GroupView, shared: CandidateHeap | undefined, level: number, special: ReadonlyMap<string, readonly SpecialNode[]>) {
    this.#view = view;
    this.#shared = shared;
    this.#level = level;
    const children: Child[] = [];
    for (const [value, nodes] of special) {
      const branch = shared?.branches.get(value);
      if (branch !== undefined) this.#touched.add(branch);
      const region = regionOf(view, branch, level + 1, nodes);
      const pick = region.peek();
      const copies = nodes.reduce((sum, node) => sum + node.copies, 0);
      if (pick !== undefined) children.push({ region, copies, pick });
    }
    this.#children = new Heap(compareChildren, children);
  }

  peek(): NodeEntry | undefined {
    const slot = this.#peekShared();
    const child = this.#children.peek();
    this.#sharedPick = undefined;
    if (child !== undefined && (slot === undefined || isChildBefore(child, slot))) {
      this.points = child.region.points;
      return child.pick;
    }
    if (slot === undefined) return undefined;
    this.#sharedPick = slot;
    this.points = slot.points;
    return slot.best;
  }

  placed(isLast: boolean): void {
    if (this.#sharedPick !== undefined) {
      if (!isLast) this.#enter(this.#sharedPick);
      return;
    }
    const child = this.#children.peek();
    if (child === undefined) return;
    child.region.placed(isLast);
    child.copies++;
    const pick = isLast ? undefined : child.region.peek();
    if (pick === undefined) {
      this.#children.pop();
      return;
    }
    child.pick = pick;
    this.#children.topGrew();
  }

  /** The branch has its first task of the service, and with it a special node. */
  #enter(slot: Slot): void {
    const { branch, best } = slot;
    if (branch === undefined) return;
    this.#takeOut(slot, branch);
    (this.#view.special ??= new Set()).add(best);
    const region = regionOf(this.#view, branch, this.#level + 1, [{ entry: best, copies: 1, isCandidate: true }]);
    const pick = region.peek();
    if (pick !== undefined) this.#children.push({ region, copies: 1, pick });
  }

  #peekShared(): Slot | undefined {
    for (;;) {
      const slot = this.#shared?.top();
      if (slot?.branch === undefined) return undefined;
      if (this.#touched.has(slot.branch)) this.#takeOut(slot, slot.branch);
      else if (hasRoom(this.#view.shape, slot.best, 0)) return slot;
      else this.#dropBest(slot);
    }
  }

  #takeOut(slot: Slot, branch: CandidateHeap): void {
    this.#touched.add(branch);
    take(this.#view, slot);
  }

  /** The best node of a branch has no room for this very shape, only for one about as large. */
  #dropBest(from: Slot): void {
    let slot: Slot | undefined = from;
    while (slot?.branch !== undefined) slot = slot.branch.top();
    if (slot !== undefined) take(this.#view, slot);
  }
}

/** Fewest tasks of the service first, then the one whose next node is better. */
function compareChildren(one: Child, other: Child): number {
  return one.copies - other.copies || one.region.points - other.region.points || compareNodes(one.pick, other.pick);
}

/** Those of the shared ordering have no task of the service. */
function isChildBefore({ copies, region, pick }: Child, slot: Slot): boolean {
  if (copies !== 0) return false;
  return region.points !== slot.points ? region.points < slot.points : compareNodes(pick, slot.best) < 0;
}

function take(view: GroupView, slot: Slot): void {
  slot.owner.remove(slot);
  (view.taken ??= []).push(slot);
}
