// Keeps one session with one manager: dials, dials again after an end, and looks for a better manager while the present one does not answer
// or cannot reach its store. The old session is given up only once another one is registered.
import type { AgentMessage, NodeRemoved, Register, Registered } from '../../proto/index.ts';
import { backoff } from '../../lib/backoff.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { type ErrorCode, ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Rng } from '../../lib/rng.ts';
import type { RpcTransport } from '../../lib/rpc/index.ts';
import type { DownMessage } from './manager-message.ts';
import type { ManagerList } from './manager-list.ts';
import { openSession, type Session, type SessionHandlers } from './session.ts';

export interface LinkHandlers {
  /** Of every new session, before anything else of it. Throws where this cluster or node is not ours: the session is then ended. */
  registered(registered: Registered): void;
  message(session: Session, message: DownMessage): void;
  /** A manager says that this node was removed; if it is true, the link is to be stopped. */
  removed(session: Session, removed: NodeRemoved): void;
  /** The session has room: `send` what waits. */
  writable(): void;
}

export interface LinkOptions {
  readonly managers: ManagerList;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly transport: RpcTransport;
  /** Made anew for each dial: it names the newest that was applied. */
  readonly register: () => Register;
  readonly handlers: LinkHandlers;
}

export interface ManagerLink {
  start(): void;
  /** The registered session, or undefined. */
  session(): Session | undefined;
  /** False: nothing more should be sent until `writable`; without a session nothing is taken. */
  send(message: AgentMessage): boolean;
  /** Why this node has no session, or undefined. */
  trouble(): string | undefined;
  stop(): void;
}

/** Between the end of a session and the next dial: short beside the 5 s after which a node counts as down, and jittered for the day all dial at once. */
const REDIAL = { baseMs: 200, capMs: 2000 };
/** After a manager refused this node: people have to act, or another holder's heartbeat has to grow old (5 s). */
const REFUSED = { baseMs: 2000, capMs: 30_000 };
/** Looking for a better manager while the present one is in trouble. */
const SEARCH = { baseMs: 300, capMs: 5000 };
const REGISTER_DEADLINE = { firstMs: 3000, lastMs: 10_000 };
/** A session that lived this long was a success: the next dial comes quickly again. */
const STABLE_MS = 5000;
/** The same failure again is logged this often. */
const REPEAT_LOG_MS = 60_000;

const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'permission_denied',
  'unauthenticated',
  'failed_precondition',
  'already_exists',
  'invalid_argument',
  'unimplemented',
]);

export function managerLink(options: LinkOptions): ManagerLink {
  const { managers, clock, rng, log, handlers } = options;
  const redial = backoff(REDIAL, rng);
  const refused = backoff(REFUSED, rng);
  const search = backoff(SEARCH, rng);
  let current: { readonly session: Session; readonly sinceMs: number } | undefined;
  let candidate: Session | undefined;
  let timer: Timer | undefined;
  let stopped = false;
  let lastTarget: string | undefined;
  let registerDeadlineMs = REGISTER_DEADLINE.firstMs;
  let trouble: string | undefined = 'not registered with a manager yet';
  let logged: { readonly text: string; readonly atMs: number } | undefined;

  const schedule = (delayMs: number): void => {
    timer?.cancel();
    timer = stopped ? undefined : clock.after(delayMs, attempt);
  };
  const attempt = (): void => {
    timer = undefined;
    if (stopped || candidate !== undefined || current?.session.health() === 'good') return;
    const target = nextTarget();
    if (target === undefined) return;
    lastTarget = target;
    candidate = openSession({ ...options, target, register: options.register(), registerDeadlineMs }, sessionHandlers);
  };
  const nextTarget = (): string | undefined => {
    if (current === undefined) return managers.next(lastTarget);
    const others = managers.others(current.session.target).filter((target) => target !== lastTarget);
    // A silent manager may answer on a new connection; one without its store will not be better.
    if (current.session.health() === 'silent') return others[0] ?? current.session.target;
    return others[0] ?? managers.others(current.session.target)[0];
  };
  const logFailure = (text: string, refusal: boolean): void => {
    const nowMs = clock.nowMs();
    if (logged?.text === text && nowMs - logged.atMs < REPEAT_LOG_MS) return;
    logged = { text, atMs: nowMs };
    if (refusal) log.error('a manager refused this node', { reason: text });
    else log.warn('no session with a manager; tasks go on, trying again', { reason: text });
  };

  const sessionHandlers: SessionHandlers = {
    registered(session, registered) {
      handlers.registered(registered);
      const previous = current?.session;
      current = { session, sinceMs: clock.nowMs() };
      candidate = undefined;
      trouble = undefined;
      logged = undefined;
      registerDeadlineMs = REGISTER_DEADLINE.firstMs;
      refused.reset();
      managers.learn(registered.managers);
      log.info('registered', { manager: session.target, managerId: registered.managerId, nodeId: registered.nodeId });
      previous?.close(new ShoalError('cancelled', `moved to ${session.target}`));
      handlers.writable();
    },
    message(session, message) {
      if (session === current?.session) handlers.message(session, message);
    },
    removed(session, removed) {
      handlers.removed(session, removed);
    },
    managers(addresses) {
      managers.learn(addresses);
    },
    healthChanged(session, health) {
      if (session !== current?.session) return;
      if (health === 'good') {
        search.reset();
        return;
      }
      const why = health === 'silent' ? 'it does not answer' : 'it cannot reach its store';
      log.warn('looking for a better manager', { manager: session.target, reason: why });
      schedule(search.nextMs());
    },
    writable(session) {
      if (session === current?.session) handlers.writable();
    },
    ended(session, error) {
      if (stopped) return;
      // Of a session that was open it only says that the node went away; how, the next registration tells.
      const refusal = REFUSALS.has(error.code) && !(session === current?.session && error.code === 'permission_denied');
      if (session === current?.session) {
        if (clock.nowMs() - current.sinceMs >= STABLE_MS) redial.reset();
        current = undefined;
      } else if (session === candidate) {
        candidate = undefined;
        if (error.code === 'deadline_exceeded') registerDeadlineMs = Math.min(REGISTER_DEADLINE.lastMs, registerDeadlineMs * 2);
      } else return;
      if (current === undefined) trouble = `${session.target}: ${error.message}`;
      logFailure(`${session.target}: ${error.message}`, refusal);
      if (current?.session.health() === 'good') return;
      if (candidate !== undefined) return;
      schedule((refusal ? refused : current === undefined ? redial : search).nextMs());
    },
  };

  return {
    start: attempt,
    session: () => current?.session,
    send: (message) => current?.session.send(message) ?? false,
    trouble: () => trouble,
    stop() {
      stopped = true;
      timer?.cancel();
      const reason = new ShoalError('cancelled', 'the agent stops');
      candidate?.close(reason);
      current?.session.close(reason);
    },
  };
}
