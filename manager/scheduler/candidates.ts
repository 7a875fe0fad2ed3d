// The nodes that may take tasks of one shape, best first, in the branches that the shape is spread over. What may have become better is replayed from
// the inventory's list before each use; a node without room leaves until it is on that list. So a placement costs O(log n).
import { CandidateHeap, type CandidateRules, type Slot } from './candidate-heap.ts';
import { isKind } from './filters.ts';
import type { Inventory, NodeEntry } from './inventory.ts';
import { affinityServices, branchValue } from './preferences.ts';
import { coarseKeyOf, roundDown, type Shape } from './shape.ts';

export class ShapeCandidates {
  /** What every task that uses these candidates needs at least. */
  readonly #least: Shape;
  readonly #inventory: Inventory;
  readonly #rules: CandidateRules;
  #root: CandidateHeap;
  /** By node index. */
  #slots: (Slot | undefined)[] = [];
  #indexBound = 0;
  #seen = -1;
  #usedAt = 0;
  /** Services that affinities are to. */
  #services: readonly string[] = [];

  constructor(inventory: Inventory, least: Shape) {
    this.#inventory = inventory;
    this.#least = least;
    this.#rules = { inventory, least };
    this.#root = new CandidateHeap(this.#rules);
  }

  /** One level of branches for each key of the spread, nodes in the lowest. */
  get root(): CandidateHeap {
    return this.#root;
  }

  /** Orders the candidates of one inventory by their last use. */
  get usedAt(): number {
    return this.#usedAt;
  }

  /** To be called before use, whenever anything but `place` may have changed the inventory. */
  refresh(): void {
    const inventory = this.#inventory;
    this.#usedAt = inventory.nextUse();
    const isOutdated = this.#seen < 0 || inventory.indexBound > this.#indexBound || this.#hasOtherServices();
    if (!isOutdated && this.#seen === inventory.improvementCount) return;
    const improved = isOutdated ? undefined : inventory.improvementsSince(this.#seen);
    this.#seen = inventory.improvementCount;
    if (improved === undefined || improved.length > this.#indexBound) this.#rebuild();
    else for (const index of improved) this.#renew(index);
  }

  /** A name may have got another service. */
  #hasOtherServices(): boolean {
    const { affinities } = this.#least.preferences;
    if (affinities.length === 0) return false;
    const services = affinityServices(this.#inventory, affinities);
    if (services.length === this.#services.length && services.every((id, at) => id === this.#services[at])) return false;
    this.#services = services;
    for (const id of services) this.#inventory.watchService(id);
    return true;
  }

  #rebuild(): void {
    this.#indexBound = this.#inventory.indexBound;
    this.#slots = [];
    this.#root = new CandidateHeap(this.#rules);
    for (const entry of this.#inventory.nodes()) {
      if (isKind(this.#least, entry)) this.#slots[entry.index] = this.#leafOf(entry).add(entry);
    }
  }

  #renew(index: number): void {
    const entry = this.#inventory.entryAt(index);
    const slot = this.#slots[index];
    const leaf = entry !== undefined && isKind(this.#least, entry) ? this.#leafOf(entry) : undefined;
    if (slot !== undefined && slot.best === entry && slot.owner === leaf) {
      leaf.giveBack(slot);
      return;
    }
    slot?.owner.remove(slot);
    this.#slots[index] = entry === undefined ? undefined : leaf?.add(entry);
  }

  #leafOf(entry: NodeEntry): CandidateHeap {
    let heap = this.#root;
    for (const key of this.#least.preferences.spread) heap = heap.branch(branchValue(key, entry));
    return heap;
  }
}

/** Places in all heaps of one inventory together; each takes about 100 bytes. */
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
  return { ...shape, nanoCpus: roundDown(shape.nanoCpus), memoryBytes: roundDown(shape.memoryBytes), hostPorts: [], generics: [] };
}
