// Keeps a ClusterState up with the store: snapshot, then watch from the next revision; a fresh snapshot where history was compacted.
import { backoff } from '../../lib/backoff.ts';
import { type Clock, sleep } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import type { Store } from '../store/store.ts';
import type { ClusterState } from './cluster-state.ts';

export interface FollowerOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

const RETRY = { baseMs: 100, capMs: 2000 };

/** Follows until the signal aborts, retrying for as long as it takes. Resolves when it has ended. */
export async function followStore(options: FollowerOptions, signal: AbortSignal): Promise<void> {
  const { clock, rng, log } = options;
  const retry = backoff(RETRY, rng);
  while (!signal.aborted) {
    try {
      await followOnce(options, signal, () => {
        retry.reset();
      });
    } catch (error) {
      if (isAborted(signal)) return;
      log.warn('following the store failed; trying again', { reason: messageOf(error) });
      await sleep(clock, retry.nextMs(), signal).catch(() => undefined);
    }
  }
}

async function followOnce({ store, state }: FollowerOptions, signal: AbortSignal, onProgress: () => void): Promise<void> {
  const snapshot = await store.snapshot('', signal);
  state.applySnapshot(snapshot.revision, snapshot.items);
  onProgress();
  for await (const message of store.watch('', snapshot.revision + 1, signal)) {
    switch (message.type) {
      case 'revision':
        state.applyRevision(message.revision, message.events);
        break;
      case 'progress':
        state.applyProgress(message.revision);
        break;
      case 'compacted':
        return;
    }
  }
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
