// The control API as verbs use it: tries the managers in turn, and passes the newest revision seen on, so that one reads one's own writes.
import { credentials, Metadata } from '@grpc/grpc-js';
import type { Clock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { type CallOptions, type ClientOf, connect, isTransportFailure, type RpcConnection } from '../../lib/rpc/index.ts';
import { ControlService } from '../../proto/index.ts';
import { reach } from './reach.ts';

export type ControlClient = ClientOf<typeof ControlService>;
type Call<T> = (client: ControlClient, options: CallOptions) => Promise<T>;

/** Reads answer at once from a manager's memory. */
const READ_DEADLINE_MS = 10_000;
/** Writes may ask a registry for a digest first. */
const WRITE_DEADLINE_MS = 30_000;

export interface Control {
  /** Asked of the next manager where one is unavailable. */
  read<T>(call: Call<T>): Promise<T>;
  /** Asked of another manager only where it is certain that the first did nothing; else rejects with `outcome_unknown`. */
  write<T>(call: Call<T>): Promise<T>;
  /** A client of a manager in reach, for streams; no deadline is set. */
  streaming(): Promise<{ readonly client: ControlClient; readonly target: string; readonly options: CallOptions }>;
  close(): void;
}

export interface ControlOptions {
  readonly managers: readonly string[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export function createControl(options: ControlOptions): Control {
  const { clock, signal } = options;
  const connections = new Map<string, RpcConnection>();
  /** The one that answered last comes first. */
  let managers = [...options.managers];
  let newestRevision = 0;

  const clientAt = (manager: string): ControlClient => {
    const connection = connections.get(manager) ?? connect(manager, credentials.createInsecure());
    connections.set(manager, connection);
    return connection.client(ControlService);
  };
  const callOptions = (deadlineMs?: number): CallOptions => {
    const metadata = new Metadata();
    if (newestRevision > 0) metadata.set('shoal-revision', String(newestRevision));
    return deadlineMs === undefined ? { metadata, signal } : { metadata, signal, deadlineMs };
  };
  const prefer = (manager: string): void => {
    managers = [manager, ...managers.filter((other) => other !== manager)];
  };
  const note = <T>(answer: T): T => {
    newestRevision = Math.max(newestRevision, revisionOf(answer));
    return answer;
  };

  /** Runs `attempt` at each manager in turn until one answers; `again` decides which failures go on to the next. */
  const inTurn = async <T>(attempt: (manager: string) => Promise<T>, again: (error: ShoalError) => boolean): Promise<T> => {
    const refusals: Refusal[] = [];
    for (const manager of [...managers]) {
      let answered = false;
      try {
        await reach(manager, clock, signal);
        answered = true;
        const answer = await attempt(manager);
        prefer(manager);
        return answer;
      } catch (thrown) {
        const error = ShoalError.from(thrown);
        if (signal.aborted) throw new ShoalError('cancelled', 'interrupted', { cause: error });
        if (!again(error)) throw error;
        refusals.push({ manager, error, answered });
      }
    }
    throw nobodyAnswers(refusals);
  };

  return {
    read: (call) =>
      inTurn(
        async (manager) => note(await call(clientAt(manager), callOptions(READ_DEADLINE_MS))),
        (error) => error.code === 'unavailable' || (error.code === 'deadline_exceeded' && isTransportFailure(error)),
      ),
    write: (call) =>
      inTurn(
        async (manager) => {
          try {
            return note(await call(clientAt(manager), callOptions(WRITE_DEADLINE_MS)));
          } catch (error) {
            throw unknownOutcome(ShoalError.from(error), manager);
          }
        },
        (error) => error.code === 'unavailable',
      ),
    streaming: () =>
      inTurn(
        (manager) => Promise.resolve({ client: clientAt(manager), target: manager, options: callOptions() }),
        (error) => error.code === 'unavailable',
      ),
    close() {
      for (const connection of connections.values()) connection.close();
      connections.clear();
    },
  };
}

/** The transport gave up after the request may have arrived: the write may have been done. */
function unknownOutcome(error: ShoalError, manager: string): ShoalError {
  const lost = isTransportFailure(error) && (error.code === 'unavailable' || error.code === 'deadline_exceeded');
  if (!lost) return error;
  const what = error.code === 'unavailable' ? `the connection to ${manager} was lost` : `${manager} did not answer in time`;
  return new ShoalError('outcome_unknown', `${what}: the change may or may not have been made; look before trying again`, { cause: error });
}

interface Refusal {
  readonly manager: string;
  readonly error: ShoalError;
  /** It listens, and answered that it cannot serve. */
  readonly answered: boolean;
}

function nobodyAnswers(refusals: readonly Refusal[]): ShoalError {
  const [first] = refusals;
  const cause = { cause: first?.error };
  if (first === undefined || refusals.length > 1) {
    const list = refusals.map(({ manager, error }) => `${manager} (${error.message})`).join(', ');
    return new ShoalError('unavailable', `none of the managers can answer: ${list}`, cause);
  }
  const { manager, error, answered } = first;
  if (answered) return new ShoalError('unavailable', `${manager}: ${error.message}`, cause);
  const way = 'start one with `shoal dev up` (one that has ended: `shoal dev restart`) or `shoal manager`, or name another with --host';
  return new ShoalError('unavailable', `no manager answers at ${manager} (${error.message}); ${way}`, cause);
}

function revisionOf(answer: unknown): number {
  if (typeof answer !== 'object' || answer === null || !('revision' in answer)) return 0;
  return typeof answer.revision === 'number' ? answer.revision : 0;
}
