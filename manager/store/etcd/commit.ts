// Sends a transaction until it is known what became of it, or the time is over.
import { type Backoff, backoff } from '../../../lib/backoff.ts';
import { type Clock, sleep } from '../../../lib/clock.ts';
import type { Rng } from '../../../lib/rng.ts';
import { leaseGone } from '../engine/engine.ts';
import { checkTransaction } from '../limits.ts';
import type { CommitResult, Transaction } from '../store.ts';
import { cancelled, type Cluster, RETRY } from './cluster.ts';
import { EtcdFailure, failureError, outcomeUnknown } from './failure.ts';
import type { KeySpace } from './keys.ts';
import type { Lane, Lanes } from './lanes.ts';
import { type Outcome, transactionOutcome, transactionRequest } from './transaction.ts';

export interface CommitContext {
  readonly cluster: Cluster;
  readonly lanes: Lanes;
  readonly keys: KeySpace;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** `again`: it certainly did not happen and never will as it was sent; it may be sent anew, as another operation. */
type Decision = Exclude<Outcome, { readonly type: 'lane_moved' | 'lane_gone' }> | { readonly type: 'again' };

export type Commit = (transaction: Transaction, signal?: AbortSignal) => Promise<CommitResult>;

export function committer(context: CommitContext): Commit {
  let operations = 0;
  return async (transaction, signal) => {
    checkTransaction(transaction);
    const { clock, lanes } = context;
    const endMs = clock.nowMs() + context.cluster.callMs;
    for (;;) {
      const lane = await lanes.take(endMs, signal);
      let decision: Decision;
      try {
        operations += 1;
        decision = await decide(context, { lane, operation: String(operations), transaction, endMs, signal });
      } finally {
        lanes.release(lane);
      }
      if (decision.type === 'committed') return { committed: true, revision: decision.revision };
      // A conflict that has gone since it was met is no reason to refuse.
      if (decision.type === 'conflict' && decision.failed.length > 0) {
        return { committed: false, revision: decision.revision, failed: decision.failed };
      }
    }
  };
}

interface Operation {
  readonly lane: Lane;
  readonly operation: string;
  readonly transaction: Transaction;
  readonly endMs: number;
  readonly signal: AbortSignal | undefined;
}

async function decide(context: CommitContext, sending: Operation): Promise<Decision> {
  const { cluster, keys, clock, rng, lanes } = context;
  const { lane, operation, transaction, endMs, signal } = sending;
  const retry = backoff(RETRY, rng);
  // A copy with the present lane revision may have been, or may yet be, carried out.
  let inDoubt = false;
  for (;;) {
    if (signal?.aborted) throw inDoubt ? outcomeUnknown('commit', signal.reason) : cancelled('commit', signal);
    const endpoint = cluster.current();
    try {
      const timeoutMs = Math.min(cluster.attemptMs, endMs - clock.nowMs());
      const request = transactionRequest(keys, lane, operation, transaction);
      const response = await cluster.attempt(endpoint, () => endpoint.kv({ timeoutMs, signal }).txn(request));
      const outcome = transactionOutcome(lane, operation, transaction, response);
      switch (outcome.type) {
        case 'committed':
        case 'conflict':
          lane.known = outcome.revision;
          return outcome;
        case 'lane_moved':
          lane.known = outcome.revision;
          inDoubt = false;
          break;
        case 'lane_gone':
          lanes.discard(lane.set);
          if (inDoubt) throw outcomeUnknown('commit', new EtcdFailure('lease_gone', endpoint.url, 'the lease of its lane is gone'));
          return { type: 'again' };
      }
    } catch (error) {
      if (!(error instanceof EtcdFailure)) throw error;
      if (error.kind === 'unknown') inDoubt = true;
      if (error.kind === 'lease_gone') {
        if (inDoubt) throw outcomeUnknown('commit', error);
        return await leaseRefused(context, sending);
      }
      await nextAttempt(error, inDoubt, sending, clock, retry);
    }
  }
}

/** Throws what the caller is told when there is no time, or no sense in, another attempt. */
async function nextAttempt(error: EtcdFailure, inDoubt: boolean, sending: Operation, clock: Clock, retry: Backoff): Promise<void> {
  const { signal, endMs } = sending;
  const waitMs = retry.nextMs();
  if (!error.transient || signal?.aborted || clock.nowMs() + waitMs >= endMs) {
    if (inDoubt) throw outcomeUnknown('commit', error);
    throw signal?.aborted ? cancelled('commit', signal) : failureError('commit', error);
  }
  try {
    await sleep(clock, waitMs, signal);
  } catch (cause) {
    throw inDoubt ? outcomeUnknown('commit', cause) : cause;
  }
}

/** etcd does not say which lease it misses: that of the lanes, or one that the transaction names. */
async function leaseRefused(context: CommitContext, sending: Operation): Promise<Decision> {
  const { cluster, lanes } = context;
  const { lane, transaction, signal } = sending;
  const remaining = await cluster.call(
    'commit',
    async (endpoint, limits) => Number((await endpoint.leases(limits).leaseTimeToLive({ ID: lane.set.leaseId })).TTL),
    signal,
  );
  if (remaining <= 0) {
    lanes.discard(lane.set);
    return { type: 'again' };
  }
  const named = transaction.ops.flatMap((op) => (op.type === 'put' && op.leaseId !== undefined ? [op.leaseId] : []));
  throw leaseGone([...new Set(named)].join(' or '));
}
