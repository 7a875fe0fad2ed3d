// Which nodes a service keeps failing on: 5 failures of one spec within 5 minutes put a node last (semantics.md). In memory for now: a new leader
// starts with a clean slate.

const FAILURES = 5;
const WINDOW_MS = 5 * 60_000;
/** So that services long gone do not stay for ever. */
const SWEEP_EVERY = 1000;

type TimesByNode = Map<string, number[]>;
const NONE: readonly string[] = [];

export class FailureHistory {
  readonly #specs = new Map<string, TimesByNode>();
  #recorded = 0;

  record(nodeId: string, serviceId: string, specNumber: number, nowMs: number): void {
    const key = `${serviceId}/${specNumber}`;
    let nodes = this.#specs.get(key);
    if (nodes === undefined) {
      nodes = new Map();
      this.#specs.set(key, nodes);
    }
    const times = nodes.get(nodeId) ?? [];
    times.push(nowMs);
    if (times.length > FAILURES) times.shift();
    nodes.set(nodeId, times);
    if (++this.#recorded % SWEEP_EVERY === 0) this.#sweep(nowMs);
  }

  /** Ids of the nodes that come last for this spec. */
  failing(serviceId: string, specNumber: number, nowMs: number): readonly string[] {
    if (this.#specs.size === 0) return NONE;
    const nodes = this.#specs.get(`${serviceId}/${specNumber}`);
    if (nodes === undefined) return NONE;
    return [...nodes].filter(([, times]) => times.length >= FAILURES && nowMs - (times[0] ?? 0) <= WINDOW_MS).map(([nodeId]) => nodeId);
  }

  #sweep(nowMs: number): void {
    for (const [key, nodes] of this.#specs) {
      for (const [nodeId, times] of nodes) {
        if (nowMs - (times.at(-1) ?? 0) > WINDOW_MS) nodes.delete(nodeId);
      }
      if (nodes.size === 0) this.#specs.delete(key);
    }
  }
}
