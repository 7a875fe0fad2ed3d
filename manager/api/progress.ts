// WatchProgress: the present state at once, then each change, a few at a time, until the service has converged, and has
// stayed so for as long as was asked for, or is gone.
import type { ServerWritableStream } from '@grpc/grpc-js';
import { sleep } from '../../lib/clock.ts';
import type { CallContext } from '../../lib/rpc/index.ts';
import { ServiceProgress, type WatchProgressRequest } from '../../proto/index.ts';
import type { Change } from '../state/index.ts';
import type { ApiContext } from './context.ts';
import { progressOf } from './progress-view.ts';
import { serviceByRef } from './refs.ts';
import { reachRevision } from './revision.ts';
import { crewOf, provedMs, stabilityWatch } from './stability.ts';
import { concernsService, stateLatch } from './state-latch.ts';
import { streamWriter } from './stream-writer.ts';

/** People see no difference below this; a roll-out of hundreds of tasks then costs a few messages a second. */
const COALESCE_MS = 50;
/** A view that takes long to make (many thousand tasks) is made less often: at most a tenth of the time goes into it. */
const COST_FACTOR = 10;
/** What is left to verify is told at each full second. */
const SHOWN_MS = 1000;

/** Errors: `invalid_argument`, `not_found`, `unavailable` while this manager does not have the revision yet. */
export async function watchProgress(
  context: ApiContext,
  request: WatchProgressRequest,
  call: ServerWritableStream<WatchProgressRequest, ServiceProgress | Uint8Array>,
  { signal }: CallContext,
): Promise<void> {
  const { state, clock } = context;
  await reachRevision(state, request.revision);
  const { id } = serviceByRef(state, request.serviceRef);
  const concerns = concernsService(state, id);
  const latch = stateLatch(state, (change) => concerns(change) || isAboutNodes(change));
  const write = streamWriter<Uint8Array>(call, signal);
  const stability = stabilityWatch(request.stableMs);
  let last: Uint8Array | undefined;
  try {
    for (;;) {
      const startMs = clock.nowMs();
      const seen = progressOf(state, id, request.revision);
      const crew = seen.converged ? crewOf(state, id) : undefined;
      const leftMs = stability.leftMs(crew, startMs, provedMs(state, id, request.revision));
      // A job is over when it is over.
      const progress = seen.converged && seen.job === undefined && leftMs > 0 ? heldBack(seen, leftMs) : seen;
      const bytes = ServiceProgress.encode(progress);
      const costMs = clock.nowMs() - startMs;
      if (last === undefined || Buffer.compare(bytes, last) !== 0) await write(bytes);
      last = bytes;
      if (progress.converged || progress.removed) return;
      const timer = progress.verifyLeftMs > 0 ? clock.after(leftMs % SHOWN_MS || SHOWN_MS, () => latch.poke()) : undefined;
      await latch.changed(signal).finally(() => timer?.cancel());
      await sleep(clock, Math.max(COALESCE_MS, costMs * COST_FACTOR), signal);
    }
  } finally {
    latch.end();
  }
}

function heldBack(progress: ServiceProgress, leftMs: number): ServiceProgress {
  return { ...progress, converged: false, verifyLeftMs: Math.ceil(leftMs / SHOWN_MS) * SHOWN_MS };
}

function isAboutNodes({ table }: Change): boolean {
  return table === 'nodes' || table === 'nodeStatus' || table === 'leader';
}
