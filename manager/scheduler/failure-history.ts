// Which nodes a service keeps failing on: 5 failures of one spec within 5 minutes put a node last (semantics.md). The leader writes the counts down
// (leader/failure-record.ts), so that the next one goes on with them; when they happened is not known to it, and so their window begins anew.
import type { NodeFailures } from '../../proto/index.ts';

const FAILURES = 5;
const WINDOW_MS = 5 * 60_000;
/** So that services long gone do not stay for ever. */
const SWEEP_EVERY = 1000;

interface FailingNode {
  readonly nodeId: string;
  readonly specNumber: number;
  /** Of the last FAILURES, oldest first. */
  readonly timesMs: number[];
}

/** By spec and node. */
type FailingNodes = Map<string, FailingNode>;
const NONE: readonly string[] = [];
const NO_COUNTS: readonly NodeFailures[] = [];

export class FailureHistory {
  readonly #services = new Map<string, FailingNodes>();
  #recorded = 0;

  record(nodeId: string, serviceId: string, specNumber: number, nowMs: number): void {
    let nodes = this.#services.get(serviceId);
    if (nodes === undefined) {
      nodes = new Map();
      this.#services.set(serviceId, nodes);
    }
    const key = `${specNumber}/${nodeId}`;
    let node = nodes.get(key);
    if (node === undefined) {
      node = { nodeId, specNumber, timesMs: [] };
      nodes.set(key, node);
    }
    node.timesMs.push(nowMs);
    if (node.timesMs.length > FAILURES) node.timesMs.shift();
    if (++this.#recorded % SWEEP_EVERY === 0) this.#sweep(nowMs);
  }

  /** What an earlier leader counted, as if it happened now. */
  restore(serviceId: string, counts: readonly NodeFailures[], nowMs: number): void {
    for (const { nodeId, specNumber, count } of counts) {
      for (let n = 0; n < Math.min(count, FAILURES); n++) this.record(nodeId, serviceId, specNumber, nowMs);
    }
  }

  /** Ids of the nodes that come last for this spec. */
  failing(serviceId: string, specNumber: number, nowMs: number): readonly string[] {
    const nodes = this.#services.size === 0 ? undefined : this.#services.get(serviceId);
    if (nodes === undefined) return NONE;
    return [...nodes.values()]
      .filter((node) => node.specNumber === specNumber && countWithin(node, nowMs) >= FAILURES)
      .map(({ nodeId }) => nodeId);
  }

  /** To be written down: what counts at present, up to the number that matters. Always in the same order. */
  counts(serviceId: string, nowMs: number): readonly NodeFailures[] {
    const nodes = this.#services.get(serviceId);
    if (nodes === undefined) return NO_COUNTS;
    return [...nodes.values()]
      .map((node) => ({ nodeId: node.nodeId, specNumber: node.specNumber, count: countWithin(node, nowMs) }))
      .filter(({ count }) => count > 0)
      .sort((one, other) => one.specNumber - other.specNumber || (one.nodeId < other.nodeId ? -1 : 1));
  }

  #sweep(nowMs: number): void {
    for (const [serviceId, nodes] of this.#services) {
      for (const [key, node] of nodes) if (countWithin(node, nowMs) === 0) nodes.delete(key);
      if (nodes.size === 0) this.#services.delete(serviceId);
    }
  }
}

function countWithin({ timesMs }: FailingNode, nowMs: number): number {
  return timesMs.filter((timeMs) => nowMs - timeMs <= WINDOW_MS).length;
}
