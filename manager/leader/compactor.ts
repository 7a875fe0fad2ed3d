// Keeps the store's history ten minutes long: managers that were away that long take a fresh snapshot.
import { type Clock, sleep } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { StateView } from '../state/index.ts';
import type { Revision, Store } from '../store/store.ts';

const HISTORY_MS = 10 * 60_000;
const EVERY_MS = 60_000;

export interface CompactorOptions {
  readonly store: Store;
  readonly state: StateView;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Compacts until the signal aborts. */
export async function compactHistory({ store, state, clock, log }: CompactorOptions, signal: AbortSignal): Promise<void> {
  const samples: { readonly atMs: number; readonly revision: Revision }[] = [];
  let compacted: Revision = 0;
  for (;;) {
    samples.push({ atMs: clock.nowMs(), revision: state.revision });
    let old: Revision = 0;
    while (samples[0] !== undefined && samples[0].atMs <= clock.nowMs() - HISTORY_MS) old = samples.shift()?.revision ?? old;
    if (old > compacted) {
      compacted = await store.compact(old).then(
        () => old,
        (error: unknown) => {
          log.warn('compacting the store failed; it is tried again', { reason: messageOf(error) });
          return compacted;
        },
      );
    }
    try {
      await sleep(clock, EVERY_MS, signal);
    } catch {
      return;
    }
  }
}
