// What a stretch of virtual time costs in real time: the process's processor time, whose events it went to, the longest of them, memory.
import { performance, PerformanceObserver } from 'node:perf_hooks';
import type { Owner } from '../../sim/core/scheduler.ts';
import type { World } from '../../sim/world.ts';

/** Whose events: one manager, all agents together, and so on; the collector's own threads are in proportion. */
export type Part = string;

export interface Cost {
  /** User and system, of all threads. */
  readonly cpuS: number;
  /** Share of the time in which everything stood for the collector. */
  readonly gcShare: number;
  readonly virtualS: number;
  readonly events: number;
  readonly partsS: ReadonlyMap<Part, number>;
  /** For that long a manager did nothing else, real time. */
  readonly longestMs: number;
  readonly longestPart: Part;
  readonly rssMb: number;
}

const RSS_EVERY_EVENTS = 20_000;

export class Meter {
  peakRssMb = 0;
  readonly #world: World;
  readonly #parts = new WeakMap<Owner, Part>();
  #gcS = 0;

  constructor(world: World) {
    this.#world = world;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) this.#gcS += duration / 1000;
    }).observe({ entryTypes: ['gc'] });
  }

  /** Runs until `isDone`, which is asked after each event; throws when that is not so after `limitMs` of virtual time. */
  async until(what: string, limitMs: number, isDone: () => boolean): Promise<Cost> {
    const { cost, done } = await this.#run(limitMs, isDone);
    if (!done) throw new Error(`${what}: not done after ${limitMs / 1000} virtual seconds`);
    return cost;
  }

  async pass(ms: number): Promise<Cost> {
    return (await this.#run(ms, () => false)).cost;
  }

  async #run(limitMs: number, isDone: () => boolean): Promise<{ readonly cost: Cost; readonly done: boolean }> {
    const { scheduler } = this.#world;
    const fromMs = scheduler.nowMs;
    const fromSteps = scheduler.steps;
    const fromCpu = process.cpuUsage();
    const fromGcS = this.#gcS;
    const parts = new Map<Part, number>();
    let [longestMs, longestPart, sinceRss, done] = [0, '', 0, isDone()];
    let beforeMs = performance.now();
    while (!done) {
      const owner = await scheduler.step(fromMs + limitMs);
      if (owner === undefined) break;
      const nowMs = performance.now();
      const tookMs = nowMs - beforeMs;
      beforeMs = nowMs;
      const part = this.#partOf(owner);
      parts.set(part, (parts.get(part) ?? 0) + tookMs / 1000);
      if (tookMs > longestMs && part.startsWith('m')) [longestMs, longestPart] = [tookMs, part];
      if (++sinceRss >= RSS_EVERY_EVENTS) {
        sinceRss = 0;
        this.#noteRss();
      }
      done = isDone();
    }
    const { user, system } = process.cpuUsage(fromCpu);
    const cpuS = (user + system) / 1e6;
    const wallS = [...parts.values()].reduce((sum, s) => sum + s, 0);
    // Others use the machine, too: shares of the time are shares of the processor time.
    for (const [part, s] of parts) parts.set(part, (s / wallS) * cpuS);
    const virtualS = (scheduler.nowMs - fromMs) / 1000;
    const cost: Cost = {
      ...{ cpuS, gcShare: (this.#gcS - fromGcS) / wallS, virtualS, events: scheduler.steps - fromSteps, partsS: parts },
      ...{ longestMs, longestPart, rssMb: this.#noteRss() },
    };
    return { cost, done };
  }

  /** "m1", "agent", "mesh", "host", "store", "user". */
  #partOf(owner: Owner): Part {
    let part = this.#parts.get(owner);
    if (part === undefined) {
      part = owner.name.split('@')[0] ?? owner.name;
      this.#parts.set(owner, part);
    }
    return part;
  }

  #noteRss(): number {
    const rssMb = process.memoryUsage.rss() / 2 ** 20;
    this.peakRssMb = Math.max(this.peakRssMb, rssMb);
    return rssMb;
  }
}
