// A process of the simulated cluster: it has a life, a clock of its own, and points at which it may be ended. A dead process is one whose clock, calls and
// streams never answer again: its code may still stand somewhere in the middle, and nothing that it does has an effect.
import type { Clock } from '../../../lib/clock.ts';
import type { Rng } from '../../../lib/rng.ts';
import type { Owner, Scheduler } from './scheduler.ts';

/** Calls of a process to what lies outside it: at each of them it may be ended. */
export type Seam = 'store' | 'network' | 'runtime' | 'disk' | 'clock';

export interface SimProcess extends Owner {
  /** "m1", "agent@n2", "mesh@n2". */
  readonly name: string;
  readonly role: 'manager' | 'agent' | 'mesh' | 'user' | 'host' | 'store';
  readonly host: SimHostPower;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Passed by each call to the outside; `step` names it in the trace and the coverage. */
  point(seam: Seam, step: string): void;
  /** Called once when it dies, whatever ended it. Returns what takes that back. */
  onDeath(call: () => void): () => void;
  kill(reason: string): void;
}

/** What processes of one host share. */
export interface SimHostPower {
  readonly name: string;
  on: boolean;
  /** Added to the true wall time. */
  wallOffsetMs: number;
}

export interface ProcessWatch {
  /** Before each call; may kill the process. */
  atPoint(process: SimProcess, seam: Seam, step: string): void;
  died(process: SimProcess, reason: string): void;
}

export interface ProcessOptions {
  readonly name: string;
  readonly role: SimProcess['role'];
  readonly host: SimHostPower;
  readonly rng: Rng;
  readonly scheduler: Scheduler;
  readonly watch: ProcessWatch;
}

/** Sunday, 2026-11-01. */
export const WALL_START_MS = 1_793_491_200_000;
/** As setTimeout has it. Without it, what is left of a delay could be less than the clock can tell apart, and who waits for it would look again for ever. */
const SHORTEST_TIMER_MS = 1;
/** Monotonic clocks of different processes have nothing in common. */
const MOST_OFFSET_MS = 1_000_000;

export function startProcess(options: ProcessOptions): SimProcess {
  const { scheduler, host, rng, watch } = options;
  const offsetMs = Math.floor(rng.next() * MOST_OFFSET_MS);
  const deaths = new Set<() => void>();
  const process: SimProcess = {
    ...{ name: options.name, role: options.role, host, rng },
    alive: true,
    stalledUntilMs: 0,
    clock: {
      nowMs: () => scheduler.nowMs + offsetMs,
      wallMs: () => Math.floor(WALL_START_MS + scheduler.nowMs + host.wallOffsetMs),
      after(delayMs, call) {
        if (!process.alive) return { cancel: () => undefined };
        return scheduler.after(process, Math.max(SHORTEST_TIMER_MS, delayMs), () => {
          process.point('clock', 'timer');
          if (process.alive) call();
        });
      },
    },
    point(seam, step) {
      if (process.alive) watch.atPoint(process, seam, step);
    },
    onDeath(call) {
      deaths.add(call);
      return () => deaths.delete(call);
    },
    kill(reason) {
      if (!process.alive) return;
      process.alive = false;
      watch.died(process, reason);
      for (const call of deaths) call();
    },
  };
  return process;
}

/** Never settles: what a dead process waits for. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}
