// This manager's liveness and its campaign to lead: both hang on one lease, taken anew whenever it is lost.
import { setMaxListeners } from 'node:events';
import { anySignal } from '../../lib/any-signal.ts';
import { backoff } from '../../lib/backoff.ts';
import { type Clock, sleep } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import type { ManagerLiveness } from '../../proto/index.ts';
import { type ClusterState, commitTo, TransactionBuilder } from '../state/index.ts';
import type { Lease, Store } from '../store/store.ts';
import { type Leadership, leadershipOf } from './leadership.ts';

/** The fault matrix of the design: another leads within the TTL + 1 s. */
const LEADER_LEASE_TTL_MS = 5000;

const RETRY = { baseMs: 100, capMs: 2000 };
/** How long a lost race or an own row of an earlier life is waited for before the state is looked at again. */
const RECHECK_MS = 1000;
/** How long a new leader waits for its own state: one that is further behind gives the lead back, since it would decide on what is long past. */
const CATCH_UP_MS = 3000;

export interface ElectionOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly liveness: ManagerLiveness;
  readonly leaseTtlMs?: number;
  /** Leads until `leadership.ended`; the next campaign starts when it resolves. */
  readonly lead: (leadership: Leadership) => Promise<void>;
}

/** Campaigns until the signal aborts, then gives the lease back so that another can lead at once. */
export async function campaign(options: ElectionOptions, signal: AbortSignal): Promise<void> {
  const { clock, rng, log } = options;
  const retry = backoff(RETRY, rng);
  while (!isAborted(signal)) {
    try {
      const lease = await options.store.lease(options.leaseTtlMs ?? LEADER_LEASE_TTL_MS, signal);
      retry.reset();
      await holdLease(options, lease, signal);
    } catch (error) {
      if (isAborted(signal)) return;
      log.warn('campaigning failed; trying again', { reason: messageOf(error) });
    }
    await sleep(clock, retry.nextMs(), signal).catch(() => undefined);
  }
}

async function holdLease(options: ElectionOptions, lease: Lease, signal: AbortSignal): Promise<void> {
  const ended = anySignal([signal, lease.lost]);
  try {
    await announce(options, lease, ended);
    while (!ended.aborted) {
      const createRevision = await takeLeader(options, lease, ended);
      if (createRevision === undefined) continue;
      await catchUp(options, createRevision, ended);
      await leadUntilDeposed(options, lease, createRevision, ended);
    }
  } finally {
    await lease.revoke().catch(() => undefined);
  }
}

/** Writes managers/<id> on the lease; a row of an earlier life is replaced. */
async function announce(options: ElectionOptions, lease: Lease, ended: AbortSignal): Promise<void> {
  const { store, state, liveness, clock } = options;
  while (!ended.aborted) {
    const before = state.get('managers', liveness.managerId);
    const builder = new TransactionBuilder().put('managers', liveness.managerId, liveness, before, lease.id);
    const result = await commitTo(store, state, builder, ended);
    if (result.committed) return;
    await sleep(clock, RECHECK_MS / 10, ended);
  }
}

/** Resolves to the leader key's create revision once this manager wrote it; to undefined when it is time to look again. */
async function takeLeader(options: ElectionOptions, lease: Lease, ended: AbortSignal): Promise<number | undefined> {
  const { store, state, liveness } = options;
  const present = state.get('leader', '');
  if (present !== undefined) {
    await leaderChange(options, present.createRevision, ended);
    return undefined;
  }
  const result = await commitTo(store, state, new TransactionBuilder().put('leader', '', liveness, undefined, lease.id), ended);
  if (result.committed) return result.revision;
  await leaderChange(options, 0, ended);
  return undefined;
}

/** Everything that earlier leaders wrote came before this manager's own leader key. */
async function catchUp({ state }: ElectionOptions, createRevision: number, ended: AbortSignal): Promise<void> {
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  ended.addEventListener('abort', stop, { once: true });
  if (ended.aborted) stop();
  try {
    await Promise.race([state.reached(createRevision, CATCH_UP_MS), stopped]);
  } catch (error) {
    throw new ShoalError('unavailable', `elected, but not fit to lead: ${messageOf(error)}`, { cause: error });
  } finally {
    ended.removeEventListener('abort', stop);
  }
}

async function leadUntilDeposed(options: ElectionOptions, lease: Lease, createRevision: number, ended: AbortSignal): Promise<void> {
  const { state, clock, log, lead } = options;
  const deposed = new AbortController();
  const judge = (): void => {
    const row = state.get('leader', '');
    if (row === undefined ? state.revision >= createRevision : row.createRevision > createRevision) deposed.abort();
  };
  const unsubscribe = state.subscribe(judge);
  judge();
  log.info('leading', { fence: createRevision });
  try {
    const over = anySignal([ended, deposed.signal]);
    // Each commit that is under way listens to it, which is no leak.
    setMaxListeners(0, over);
    await lead(leadershipOf(lease, createRevision, over, clock));
  } finally {
    unsubscribe();
    deposed.abort();
    log.info('no longer leading', { fence: createRevision });
  }
}

/** Resolves when the leader key differs from the life that began at `createRevision` (0: none), or after a second. */
function leaderChange({ state, clock }: ElectionOptions, createRevision: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      timer.cancel();
      unsubscribe();
      ended.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.after(RECHECK_MS, finish);
    const unsubscribe = state.subscribe(() => {
      if ((state.get('leader', '')?.createRevision ?? 0) !== createRevision) finish();
    });
    ended.addEventListener('abort', finish, { once: true });
    if (ended.aborted) finish();
  });
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
