// Finds out within a second that a node is gone, by connecting to it four times a second: the kernel path cannot try another replica by itself.
// What counts is that the node answers, by a refusal too: nothing of a replica is used up by it.
import { type Clock, type Timer } from '../../lib/clock.ts';
import { type Rng } from '../../lib/rng.ts';

/** `gone`: nothing came back in time, or the way there is closed. `unknown`: this node could not ask. */
export type ProbeAnswer = 'answered' | 'gone' | 'unknown';

/** Resolves within `deadlineMs`; never rejects. */
export type Probe = (host: string, port: number, deadlineMs: number) => Promise<ProbeAnswer>;

export interface ProberOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly probe: Probe;
  /** `dead()` has changed. */
  readonly onChange: () => void;
}

const INTERVAL_MS = 250;
/** On a LAN an answer takes less than a millisecond; a busy node takes its time. */
const DEADLINE_MS = 400;
/** The last that did not come decides 0.9 s after the first that could not. */
const MISSES = 2;
const ANSWERS = 2;
/** A tick so much late tells of this process, not of the nodes. */
const STALL_MS = 150;
/** Never leased in practice (the last of the node ports), and let through by whatever firewall lets node ports through: mostly refused, at no cost to any replica. */
export const QUIET_PORT = 29_999;

interface Node {
  /** Ports to try in turn until one is answered: the quiet one, then a replica's. */
  readonly ports: readonly number[];
  /** Index in `ports` of the one that was answered last. */
  speaks: number | undefined;
  /** How often no port was answered before one was. */
  silent: number;
  misses: number;
  answers: number;
  dead: boolean;
}

export class Prober {
  readonly #options: ProberOptions;
  readonly #nodes = new Map<string, Node>();
  #timer: Timer | undefined;
  #stalledUntilMs = -Infinity;

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  /** Nodes that replicas are on, with the port of one of them each. Those that are not named are forgotten. */
  watch(nodes: ReadonlyMap<string, number>): void {
    for (const host of [...this.#nodes.keys()]) {
      if (!nodes.has(host)) this.#nodes.delete(host);
    }
    for (const [host, port] of nodes) {
      if (this.#nodes.get(host)?.ports.includes(port) === true) continue;
      const known = this.#nodes.get(host);
      const { speaks, misses = 0, answers = 0, dead = false } = known ?? {};
      // A port of a replica that is gone is asked no more; the quiet one stays.
      const node: Node = { ports: [QUIET_PORT, port], speaks: speaks === 0 ? 0 : undefined, silent: 0, misses, answers, dead };
      this.#nodes.set(host, node);
      if (known === undefined) void this.#ask(host, node);
    }
    if (this.#nodes.size > 0) this.#tickLater();
    else this.stop();
  }

  /** Nodes that do not answer. */
  dead(): ReadonlySet<string> {
    return new Set([...this.#nodes].filter(([, { dead }]) => dead).map(([host]) => host));
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #tickLater(): void {
    if (this.#timer !== undefined) return;
    const { clock, rng } = this.#options;
    const dueMs = clock.nowMs() + INTERVAL_MS * (0.95 + rng.next() / 20);
    this.#timer = clock.after(
      dueMs - clock.nowMs(),
      () => {
        this.#timer = undefined;
        const lateMs = clock.nowMs() - dueMs;
        // What was asked before and around the stall says nothing.
        if (lateMs > STALL_MS) this.#stalledUntilMs = clock.nowMs();
        for (const [host, node] of this.#nodes) void this.#ask(host, node);
        this.#tickLater();
      },
      true,
    );
  }

  async #ask(host: string, node: Node): Promise<void> {
    const { clock, probe } = this.#options;
    const index = node.speaks ?? node.silent % node.ports.length;
    const askedMs = clock.nowMs();
    const answer = await probe(host, node.ports[index] ?? QUIET_PORT, DEADLINE_MS);
    if (this.#nodes.get(host) !== node || answer === 'unknown') return;
    if (answer === 'answered') {
      node.speaks = index;
      node.misses = 0;
      node.answers++;
      if (node.dead && node.answers >= ANSWERS) this.#judge(node, false);
      return;
    }
    if (askedMs < this.#stalledUntilMs) return;
    // One that never spoke on any port may just be behind a firewall: it is not judged.
    if (node.speaks === undefined) {
      node.silent++;
      return;
    }
    node.answers = 0;
    if (++node.misses >= MISSES && !node.dead) this.#judge(node, true);
  }

  #judge(node: Node, dead: boolean): void {
    node.dead = dead;
    this.#options.onChange();
  }
}
