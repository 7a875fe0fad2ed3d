// Picks nodes for the tasks of one service and spec, one after the other: level by level of its spread the branch with the fewest tasks of the service,
// and there the best node. Nodes on which the spec keeps failing come last, wherever they are: only when no other takes a task.
import type { CandidateHeap, Slot } from './candidate-heap.ts';
import { candidatesFor } from './candidates.ts';
import { isKind } from './filters.ts';
import type { Inventory, NodeEntry } from './inventory.ts';
import { type GroupView, type Region, regionOf, type SpecialNode } from './region.ts';
import type { Shape } from './shape.ts';

interface GroupKey {
  readonly serviceId: string;
  readonly specNumber: number;
}

export class GroupPicker {
  readonly #view: GroupView;
  readonly #group: GroupKey;
  readonly #failing: readonly NodeEntry[];
  #region: Region;
  #isLastResort = false;

  constructor(inventory: Inventory, shape: Shape, group: GroupKey, nowMs: number) {
    const failing = inventory.failures.failing(group.serviceId, group.specNumber, nowMs);
    this.#failing = failing.length === 0 ? NO_ENTRIES : failing.flatMap((nodeId) => inventory.entryOf(nodeId) ?? []);
    this.#group = group;
    const copies = inventory.nodesOfService(group.serviceId);
    const special = copies === undefined && failing.length === 0 ? undefined : new Set([...(copies?.keys() ?? []), ...this.#failing]);
    this.#view = { inventory, shape, special, taken: undefined };
    this.#region = this.#regionWith(candidatesFor(inventory, shape).root, (entry) => !this.#failing.includes(entry));
  }

  /** The best node for the next task; undefined: none takes it. */
  next(): NodeEntry | undefined {
    const entry = this.#region.peek();
    if (entry !== undefined || this.#isLastResort || this.#failing.length === 0) return entry;
    this.#isLastResort = true;
    this.#region = this.#regionWith(undefined, (node) => this.#failing.includes(node));
    return this.#region.peek();
  }

  /** The task went to the node that `next` gave. `isLast`: no other task of the group follows. */
  placed(isLast: boolean): void {
    this.#region.placed(isLast);
  }

  end(): void {
    for (const slot of this.#view.taken ?? NO_SLOTS) slot.owner.giveBack(slot);
  }

  #regionWith(shared: CandidateHeap | undefined, mayTake: (entry: NodeEntry) => boolean): Region {
    const { inventory, shape, special } = this.#view;
    if (special === undefined) return regionOf(this.#view, shared, 0, NO_NODES);
    const copies = inventory.nodesOfService(this.#group.serviceId);
    // A node that is gone, though tasks still speak of it, is in no branch.
    const present = [...special].filter((entry) => entry.node !== undefined);
    const nodes = present.map((entry): SpecialNode => {
      return { entry, copies: copies?.get(entry) ?? 0, isCandidate: mayTake(entry) && isKind(shape, entry) };
    });
    return regionOf(this.#view, shared, 0, nodes);
  }
}

const NO_NODES: readonly SpecialNode[] = [];
const NO_ENTRIES: readonly NodeEntry[] = [];
const NO_SLOTS: readonly Slot[] = [];
