// Tells those who wait for a container that it is time to look at it. One event stream and one periodic list per runtime, however many
// containers there are: events are fast hints and may be lost or fall silent; the list is the truth. Both run only while somebody waits.
import { type Readable } from 'node:stream';
import { type ContainerInfo } from 'dockerode';
import { backoff } from '../../../lib/backoff.ts';
import { type Clock, sleep, type Timer } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import { type Logger } from '../../../lib/log.ts';
import { type Rng } from '../../../lib/rng.ts';
import { jsonLines } from './client.ts';
import { LABEL } from './labels.ts';

/** The longest time that an exit stays unseen when events are lost. */
const LIST_PERIOD_MS = 15_000;
/** New waiters share one list. */
const SOON_MS = 50;
/** An exit was announced, and the waiter found the container running still. */
const AGAIN_MS = 500;
/** The stream stays open so long without a listener: while tasks start, one comes after the other. */
const LINGER_MS = 30_000;
/** A stream that ends sooner counts as a failure to open one. */
const STEADY_MS = 5000;
const MAX_REMEMBERED = 1024;

export type Hint = 'ended' | 'health';

export interface Observer {
  /**
   * Calls `listener` whenever the container of this task may have ended or changed its health; returns what unsubscribes it.
   * Looks at the container soon, unless it was seen running after the stream of `since` was opened: then its events tell.
   */
  subscribe(taskId: string, listener: (hint: Hint) => void, since?: number): () => void;
  /** Opens the event stream ahead of a start. */
  warm(): void;
  /** Names the event stream that is open now; undefined where none is. */
  stream(): number | undefined;
  /** Asks for a list soon, because a hint turned out to be early, or could not be followed. */
  lookAgain(): void;
}

export interface ObserverOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** Opens the event stream; resolves when the engine has answered. */
  openEvents(signal: AbortSignal): Promise<Readable>;
  /** All of the node's containers, under a deadline of its own. */
  listContainers(signal: AbortSignal): Promise<readonly ContainerInfo[]>;
}

export function createObserver(options: ObserverOptions): Observer {
  const { clock, log } = options;
  const listeners = new Map<string, Set<(hint: Hint) => void>>();
  /** Tasks whose end came by the present stream: for who listens too late. */
  const ended = new Set<string>();
  let session: AbortController | undefined;
  let lingering: Timer | undefined;
  let streams = 0;
  let live: number | undefined;
  let timer: Timer | undefined;
  let listing = false;
  let dueMs: number | undefined;

  const hint = (taskId: string, kind: Hint): void => {
    if (kind === 'ended') {
      const [oldest] = ended.size >= MAX_REMEMBERED ? ended : [];
      if (oldest !== undefined) ended.delete(oldest);
      ended.add(taskId);
    }
    for (const listener of [...(listeners.get(taskId) ?? [])]) listener(kind);
  };
  /** The soonest wish wins; wishes made while a list is under way are kept for after it. */
  const listIn = (delayMs: number): void => {
    if (listeners.size === 0) return;
    const atMs = clock.nowMs() + delayMs;
    if (dueMs !== undefined && dueMs <= atMs) return;
    dueMs = atMs;
    timer?.cancel();
    if (!listing) timer = clock.after(delayMs, () => void list(), true);
  };
  const untilDueMs = (): number => Math.max(0, (dueMs ?? Infinity) - clock.nowMs());
  const list = async (): Promise<void> => {
    const signal = session?.signal;
    if (signal === undefined) return;
    listing = true;
    dueMs = undefined;
    const asked = [...listeners.keys()];
    try {
      const alive = new Set<string>();
      for (const container of await options.listContainers(signal)) {
        if (!ENDED.has(container.State)) alive.add(container.Labels[LABEL.taskId] ?? '');
      }
      for (const taskId of asked) if (!alive.has(taskId)) hint(taskId, 'ended');
    } catch (error) {
      if (!isAborted(signal)) log.debug('containers cannot be listed', { why: messageOf(error) });
    } finally {
      listing = false;
      if (session !== undefined) {
        const delayMs = Math.min(LIST_PERIOD_MS, untilDueMs());
        dueMs = undefined;
        listIn(delayMs);
      }
    }
  };
  const follow = async (signal: AbortSignal): Promise<void> => {
    const delays = backoff({ baseMs: 100, capMs: 10_000 }, options.rng);
    while (!signal.aborted) {
      let openedMs = Infinity;
      try {
        const stream = await options.openEvents(signal);
        openedMs = clock.nowMs();
        live = ++streams;
        ended.clear();
        // What happened while no stream was open.
        listIn(SOON_MS);
        for await (const event of jsonLines(stream)) {
          const seen = readEvent(event);
          if (seen !== undefined) hint(seen.taskId, seen.hint);
        }
      } catch (error) {
        if (!isAborted(signal)) log.debug('event stream of the engine ended', { why: messageOf(error) });
      }
      if (isAborted(signal)) return;
      live = undefined;
      if (clock.nowMs() - openedMs > STEADY_MS) delays.reset();
      await sleep(clock, delays.nextMs(), signal).catch(() => undefined);
    }
  };
  const open = (): void => {
    lingering?.cancel();
    lingering = undefined;
    if (session !== undefined) return;
    session = new AbortController();
    void follow(session.signal);
  };
  /** Where nobody listens any more. */
  const release = (): void => {
    if (listeners.size > 0) return;
    timer?.cancel();
    dueMs = undefined;
    lingering?.cancel();
    lingering = clock.after(
      LINGER_MS,
      () => {
        session?.abort();
        session = undefined;
        live = undefined;
      },
      true,
    );
  };
  return {
    subscribe(taskId, listener, since) {
      const set = listeners.get(taskId) ?? new Set();
      listeners.set(taskId, set.add(listener));
      open();
      if (since === undefined || since !== live || ended.has(taskId)) listIn(SOON_MS);
      else listIn(LIST_PERIOD_MS);
      return () => {
        set.delete(listener);
        if (set.size === 0 && listeners.get(taskId) === set) listeners.delete(taskId);
        release();
      };
    },
    warm() {
      open();
      release();
    },
    stream: () => live,
    lookAgain: () => listIn(AGAIN_MS),
  };
}

/** A function, so that the compiler does not take an earlier look at the signal for the present one. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

const ENDED: ReadonlySet<string> = new Set(['exited', 'dead', 'removing', 'stopped']);

interface EngineEvent {
  readonly Action?: string;
  readonly status?: string;
  readonly Actor?: { readonly Attributes?: Readonly<Record<string, string>> | null };
}

/** Docker's and Podman's words for the same. */
export function readEvent(event: unknown): { readonly taskId: string; readonly hint: Hint } | undefined {
  const { Action, status, Actor } = event as EngineEvent;
  const taskId = Actor?.Attributes?.[LABEL.taskId];
  const action = Action ?? status ?? '';
  if (taskId === undefined) return undefined;
  if (/^(die|died|destroy|remove|stop)$/.test(action)) return { taskId, hint: 'ended' };
  return action.startsWith('health_status') ? { taskId, hint: 'health' } : undefined;
}
