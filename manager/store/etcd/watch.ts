// A watch that survives reconnects: it goes on behind the last revision that it delivered, whatever etcd's headers say.
import { backoff } from '../../../lib/backoff.ts';
import { type Clock, sleep } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Rng } from '../../../lib/rng.ts';
import type { Revision, WatchMessage } from '../store.ts';
import { type Cluster, RETRY } from './cluster.ts';
import type { Endpoint } from './endpoint.ts';
import type { KeySpace } from './keys.ts';
import { revisionJoiner } from './revisions.ts';
import { openWatchStream } from './watch-stream.ts';

export interface WatchContext {
  readonly cluster: Cluster;
  readonly keys: KeySpace;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /**
   * Makes a revision in this key space. etcd says that its revision is further than what was delivered, so somebody else wrote to it:
   * only an event of our own can prove that nothing of ours is still on the way. (etcd's answer to a progress request does
   * not: up to 3.4.24 and 3.5.7 it may overtake events.)
   */
  readonly nudge: () => Promise<unknown>;
}

export async function* watchEtcd(
  context: WatchContext,
  prefix: string,
  fromRevision: Revision,
  signal: AbortSignal,
): AsyncGenerator<WatchMessage> {
  const { cluster, clock, rng, log } = context;
  const retry = backoff(RETRY, rng);
  let next = fromRevision;
  while (!signal.aborted) {
    const endpoint = cluster.current();
    try {
      for await (const message of watchOnce(context, endpoint, prefix, next, signal)) {
        retry.reset();
        yield message;
        if (message.type === 'compacted') return;
        next = message.revision + 1;
      }
    } catch (error) {
      if (isAborted(signal)) return;
      log.debug('a watch broke; it goes on where it stood', { endpoint: endpoint.url, revision: next, error: messageOf(error) });
      cluster.failed(endpoint, error instanceof Error ? error : new Error(String(error)));
      await sleep(clock, retry.nextMs(), signal).catch(() => undefined);
    }
  }
}

/** Until the stream breaks (rejects), history is compacted, or the signal aborts. */
async function* watchOnce(
  context: WatchContext,
  endpoint: Endpoint,
  prefix: string,
  fromRevision: Revision,
  signal: AbortSignal,
): AsyncGenerator<WatchMessage> {
  const { cluster, keys, clock, rng } = context;
  const joiner = revisionJoiner(keys, prefix, fromRevision);
  const stream = await openWatchStream({
    endpoint,
    clock,
    rng,
    keys: keys.all,
    // etcd may have dropped deletions of the very revision that it was compacted to, and does not say so. Asked from one before, it does.
    startRevision: Math.max(1, fromRevision - 1),
    signal,
  });
  let aheadBefore = false;
  try {
    for (;;) {
      const response = await stream.next();
      if (response === undefined) return;
      cluster.answered();
      if (response.compactedRevision !== undefined) {
        yield { type: 'compacted', compactedRevision: response.compactedRevision };
        return;
      }
      yield* joiner.add(response.events, response.fragment);
      if (!response.idle) continue;
      const ahead = response.headerRevision > joiner.delivered;
      // Once is no sign yet: the events may be right behind.
      if (ahead && aheadBefore) context.nudge().catch(() => undefined);
      aheadBefore = ahead && !aheadBefore;
    }
  } finally {
    stream.close();
  }
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
