// One stream to one manager, from Register to its end: heartbeats, liveness, and messages in both directions. Which manager, and what comes
// after the end, is the link's affair (manager-link.ts).
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { AgentMessage, NodeRemoved, Register, Registered } from '../../proto/index.ts';
import { type Clock, type Timer } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Rng } from '../../lib/rng.ts';
import { type ClientOf, fromServiceError, type RpcTransport } from '../../lib/rpc/index.ts';
import { liveness } from './liveness.ts';
import { type DownMessage, sessionMethods } from './manager-message.ts';

export type ManagerClient = ClientOf<typeof sessionMethods>;

/** good; silent: no answer to heartbeats; storeless: it answers, but cannot reach its store. */
export type SessionHealth = 'good' | 'silent' | 'storeless';

export interface SessionHandlers {
  /** The first message. What it throws ends the session. */
  registered(session: Session, registered: Registered): void;
  message(session: Session, message: DownMessage): void;
  /** Instead of `registered`; the end follows. */
  removed(session: Session, removed: NodeRemoved): void;
  /** Addresses of all managers, as told with a heartbeat's answer. */
  managers(addresses: readonly string[]): void;
  healthChanged(session: Session, health: SessionHealth): void;
  /** There is room again after `send` returned false. */
  writable(session: Session): void;
  /** Once, whether or not it ever registered. */
  ended(session: Session, error: ShoalError): void;
}

export interface Session {
  readonly target: string;
  /** For the streams that this manager asks for. */
  readonly client: ManagerClient;
  registered(): boolean;
  health(): SessionHealth;
  /** False: it was taken, but nothing more should be sent until `writable`. */
  send(message: AgentMessage): boolean;
  writable(): boolean;
  close(error: ShoalError): void;
}

export interface SessionOptions {
  readonly target: string;
  readonly register: Register;
  /** Until Registered must have come. */
  readonly registerDeadlineMs: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly transport: RpcTransport;
}

/** Without an answer to heartbeats for this long, another manager may be better. */
const SILENCE_MS = 2000;
/** Bounds of the period that a manager may ask for; outside them it is taken for a mistake. */
const PERIOD_MS = { min: 100, max: 10_000, default: 1000 };

export function openSession(options: SessionOptions, handlers: SessionHandlers): Session {
  const { target, clock, rng } = options;
  const connection = options.transport.connect(target);
  const client = connection.client(sessionMethods);
  const call: ClientDuplexStream<AgentMessage | Uint8Array, DownMessage> = client.session();
  let state: 'registering' | 'open' | 'ended' = 'registering';
  let health: SessionHealth = 'good';
  let blocked = false;
  let heartbeats: { stop(): void; answered(sequence: number): void } | undefined;

  const end = (error: ShoalError): void => {
    if (state === 'ended') return;
    state = 'ended';
    deadline.cancel();
    heartbeats?.stop();
    call.cancel();
    connection.close();
    handlers.ended(session, error);
  };
  const setHealth = (next: SessionHealth): void => {
    if (state !== 'open' || next === health) return;
    health = next;
    handlers.healthChanged(session, next);
  };
  const session: Session = {
    target,
    client,
    registered: () => state === 'open',
    health: () => health,
    send(message) {
      if (state === 'ended') return false;
      if (!call.write(message)) blocked = true;
      return !blocked;
    },
    writable: () => state === 'open' && !blocked,
    close: end,
  };
  const deadline = clock.after(options.registerDeadlineMs, () => {
    end(new ShoalError('deadline_exceeded', `${target} did not register this node within ${String(options.registerDeadlineMs / 1000)} s`));
  });

  const onRegistered = (registered: Registered): void => {
    deadline.cancel();
    state = 'open';
    handlers.registered(session, registered);
    if (!session.registered()) return;
    heartbeats = beat({ periodMs: periodOf(registered), clock, rng, session, silent: setSilent });
  };
  const setSilent = (silent: boolean): void => {
    if (silent) setHealth('silent');
    else if (health === 'silent') setHealth('good');
  };
  const take = (down: DownMessage): void => {
    const message = down.kind === 'message' ? down.message : undefined;
    if (state === 'registering') {
      if (message?.case === 'nodeRemoved') {
        handlers.removed(session, message.value);
        return;
      }
      if (message?.case !== 'registered') throw new ShoalError('invalid_argument', `${target} sent something before Registered`);
      onRegistered(message.value);
      return;
    }
    if (message?.case === 'heartbeat') {
      heartbeats?.answered(message.value.sequence);
      setHealth(message.value.storeReachable ? 'good' : 'storeless');
      handlers.managers(message.value.managers);
      return;
    }
    handlers.message(session, down);
  };
  call.on('data', (down: DownMessage) => {
    if (state === 'ended') return;
    try {
      take(down);
    } catch (error) {
      end(ShoalError.from(error));
    }
  });
  call.on('drain', () => {
    blocked = false;
    if (state === 'open') handlers.writable(session);
  });
  call.on('error', (error: unknown) => {
    end(fromServiceError(error, target));
  });
  call.on('end', () => {
    end(new ShoalError('unavailable', `${target} ended the session`));
  });
  call.write({ message: { case: 'register', value: options.register } });
  return session;
}

function periodOf(registered: Registered): number {
  const told = registered.heartbeatPeriodMs === 0 ? PERIOD_MS.default : registered.heartbeatPeriodMs;
  return Math.min(PERIOD_MS.max, Math.max(PERIOD_MS.min, told));
}

interface BeatOptions {
  readonly periodMs: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly session: Session;
  readonly silent: (silent: boolean) => void;
}

/** Sends a heartbeat each period (jittered: between nine tenths of it and the whole), and judges the answers twice as often. */
function beat(options: BeatOptions): { stop(): void; answered(sequence: number): void } {
  const { periodMs, clock, rng, session } = options;
  const tickMs = periodMs / 2;
  const alive = liveness(Math.max(SILENCE_MS, 2 * periodMs), tickMs);
  let sequence = 0;
  let sender: Timer;
  let judge: Timer;
  const send = (): void => {
    sequence++;
    alive.sent(sequence, clock.nowMs());
    // A stream that takes nothing more would only pile heartbeats up; that no answer comes is noticed all the same.
    if (session.writable()) session.send({ message: { case: 'heartbeat', value: { sequence } } });
    sender = clock.after(periodMs * (0.9 + rng.next() / 10), send);
  };
  const tick = (): void => {
    judge = clock.after(tickMs, tick);
    options.silent(alive.silent(clock.nowMs()));
  };
  send();
  judge = clock.after(tickMs, tick);
  return {
    stop() {
      sender.cancel();
      judge.cancel();
    },
    answered: (answered) => {
      alive.answered(answered, clock.nowMs());
    },
  };
}
