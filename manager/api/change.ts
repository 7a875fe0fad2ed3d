// The write path of every resource: made from the state as it is, committed with a deadline, made again where something changed meanwhile.
import { backoff } from '../../lib/backoff.ts';
import { sleep, withDeadline } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import { commitTo, type TransactionBuilder } from '../state/index.ts';
import type { CommitResult, Revision } from '../store/store.ts';
import type { ApiContext } from './context.ts';

export interface Attempt<T> {
  readonly builder: TransactionBuilder;
  /** What to answer if it commits. */
  readonly result: T;
}

/**
 * Each conflict is news that arrived meanwhile. Many services may share one published port, and with it one row: those that take a part of it at the
 * same time get their turns, one in each round, apart by chance.
 */
const MAX_ATTEMPTS = 40;
const RETRY = { baseMs: 2, capMs: 100 };
/** The client has its answer within two seconds, whatever the store does. */
const COMMIT_DEADLINE_MS = 1900;
const PROBE_DEADLINE_MS = 1000;
const CATCH_UP_MS = 2000;

/**
 * Commits what `attempt` makes of the present state; after a conflict the state catches up and `attempt` runs again, so that it can say
 * precisely what is in the way (by throwing) or go around it. An empty transaction is a change that is already there.
 * `what` names the change in errors ("service web was not created").
 * Errors: what `attempt` throws; `conflict`; `unavailable` (certainly nothing was changed); `outcome_unknown`.
 */
export async function commitChange<T>(
  context: ApiContext,
  what: ChangeName,
  attempt: () => Attempt<T>,
): Promise<{ readonly result: T; readonly revision: Revision }> {
  const { state, clock, rng } = context;
  const retry = backoff(RETRY, rng);
  const untilMs = clock.nowMs() + COMMIT_DEADLINE_MS;
  for (let attempts = 0; attempts < MAX_ATTEMPTS && clock.nowMs() < untilMs; attempts++) {
    // The first conflict may well be a single one.
    if (attempts > 1) await sleep(clock, retry.nextMs());
    const { builder, result } = attempt();
    if (builder.isEmpty) return { result, revision: state.revision };
    const commit = await commitOnce(context, what, builder);
    if (commit.committed) {
      // The rows are in by commitTo already; a watch that lags must not turn a change that was made into a failure.
      await state.reached(commit.revision, CATCH_UP_MS).catch(() => undefined);
      return { result, revision: commit.revision };
    }
    await state.reached(commit.revision, CATCH_UP_MS);
  }
  throw new ShoalError('conflict', `${what.object} was not ${what.verb}: others keep changing the same objects; try again`);
}

export interface ChangeName {
  /** "service web" */
  readonly object: string;
  /** "created" */
  readonly verb: string;
  /** How to find out what is there: "shoal service inspect web". */
  readonly look: string;
}

async function commitOnce(context: ApiContext, what: ChangeName, builder: TransactionBuilder): Promise<CommitResult> {
  const { store, state, clock } = context;
  await probe(context, what);
  let answered = false;
  const commit = async (signal: AbortSignal): Promise<CommitResult> => {
    try {
      return await commitTo(store, state, builder, signal);
    } finally {
      answered = !signal.aborted;
    }
  };
  try {
    return await withDeadline(clock, COMMIT_DEADLINE_MS, 'the store', commit);
  } catch (error) {
    throw refusal(ShoalError.from(error), what, answered);
  }
}

/** While the store is known to be out of reach, a read tells whether it is back before a write is risked whose outcome nobody would know. */
async function probe({ store, clock }: ApiContext, what: ChangeName): Promise<void> {
  if (store.reachable()) return;
  try {
    await withDeadline(clock, PROBE_DEADLINE_MS, 'the store', (signal) => store.snapshot('cluster', signal));
  } catch (error) {
    throw unavailable(what, error);
  }
}

/** `answered`: the store itself said so, and then its contract says what happened. */
function refusal(error: ShoalError, what: ChangeName, answered: boolean): ShoalError {
  if (!answered || error.code === 'outcome_unknown') {
    return new ShoalError(
      'outcome_unknown',
      `it is not known whether ${what.object} was ${what.verb}, since the store did not answer (${error.message}): ` +
        `look with \`${what.look}\` before trying again`,
      { cause: error },
    );
  }
  if (error.code === 'unavailable' || error.code === 'deadline_exceeded') return unavailable(what, error);
  return new ShoalError(error.code, `${what.object} was not ${what.verb}: ${error.message}`, { cause: error });
}

function unavailable(what: ChangeName, error: unknown): ShoalError {
  return new ShoalError(
    'unavailable',
    `${what.object} was not ${what.verb}, since the store cannot be reached (${messageOf(error)}); ` +
      'running tasks and published ports are not affected; try again',
    { cause: error },
  );
}
