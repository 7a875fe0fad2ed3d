// Cleans the host up now and then: containers that no task accounts for, finished ones beyond a number, and whatever the runtime keeps that nothing
// uses any more. One line per clean-up that removed something; a clean-up that fails is made up for by the next.
import { type Clock, sleep } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import { formatSizeBytes } from '../../lib/units.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Worker } from '../worker/worker.ts';
import type { HousekeepingSettings } from './settings.ts';

/** Since the agent's start. */
export interface HousekeepingCounts {
  readonly runs: number;
  readonly failures: number;
  /** Finished tasks whose container went, and containers that no task accounted for. */
  readonly containersRemoved: number;
  /** Images; with plain processes what is left of task folders. */
  readonly leftoversRemoved: number;
  readonly freedBytes: number;
  /** As the last clean-up left it. */
  readonly unusedBytes: number;
}

export interface Housekeeper {
  counts(): HousekeepingCounts;
  start(): void;
  stop(): void;
}

export interface HousekeeperOptions {
  readonly settings: HousekeepingSettings;
  readonly runtime: Pick<Runtime, 'cleanUp'>;
  readonly worker: Pick<Worker, 'tidy' | 'reclaimed'>;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

const JITTER = 0.4;
const MAX_NAMED = 10;

export function housekeeper(options: HousekeeperOptions): Housekeeper {
  const { settings, runtime, worker, clock, rng, log } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let counts: HousekeepingCounts = { runs: 0, failures: 0, containersRemoved: 0, leftoversRemoved: 0, freedBytes: 0, unusedBytes: 0 };

  const cleanUp = async (): Promise<void> => {
    const before = counts.containersRemoved;
    try {
      await worker.tidy(signal);
      const done = await runtime.cleanUp?.(settings.images, signal);
      const { removed = [], freedBytes = 0, unusedBytes = 0 } = done ?? {};
      counts = {
        ...counts,
        containersRemoved: worker.reclaimed(),
        leftoversRemoved: counts.leftoversRemoved + removed.length,
        freedBytes: counts.freedBytes + freedBytes,
        unusedBytes,
      };
      const containers = counts.containersRemoved - before;
      if (containers + removed.length === 0) return;
      const more = removed.length > MAX_NAMED ? { more: removed.length - MAX_NAMED } : {};
      log.info('cleaned up', { containers, removed: removed.slice(0, MAX_NAMED), ...more, freed: formatSizeBytes(freedBytes) });
    } catch (error) {
      if (signal.aborted) return;
      counts = { ...counts, failures: counts.failures + 1, containersRemoved: worker.reclaimed() };
      log.warn('cannot clean up now', { reason: messageOf(error) });
    }
  };
  const keepHouse = async (): Promise<void> => {
    for (;;) {
      await sleep(clock, settings.intervalMs * (1 - JITTER / 2 + rng.next() * JITTER), signal);
      await cleanUp();
      counts = { ...counts, runs: counts.runs + 1 };
    }
  };
  return {
    counts: () => ({ ...counts, containersRemoved: worker.reclaimed() }),
    start() {
      if (settings.intervalMs === Infinity) return;
      keepHouse().catch((error: unknown) => {
        if (!signal.aborted) log.error('nothing is cleaned up any more', { error });
      });
    },
    stop() {
      stopping.abort(new ShoalError('cancelled', 'the agent stops'));
    },
  };
}
