// Whether the engine answers, and what it says of itself: asked for a sign of life every few seconds, and for the rest now and then (engines are
// upgraded, and hosts get memory). While it does not answer, the managers hear why and since when, and place nothing here.
import type { EngineTrouble } from '../proto/index.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf, ShoalError } from '../lib/errors.ts';
import { backoff } from '../lib/backoff.ts';
import type { Logger } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import { type EngineFacts, unknownEngine } from './description.ts';
import type { Runtime } from './runtime/runtime.ts';

export interface EngineWatch {
  /** As it last said. */
  facts(): EngineFacts;
  /** Why nothing can be started here now, or undefined. */
  trouble(): EngineTrouble | undefined;
  /** Resolves after the first answer or failure. */
  start(): Promise<void>;
  stop(): void;
}

/** Between two signs of life. Docker's has a deadline of 5 s: an engine that hangs is known as such within 18 s, one that is gone within 8 s. */
const CHECK_EVERY_MS = 5000;
const DESCRIBE_EVERY_MS = 5 * 60_000;
/** The first step is the second look at an engine that has failed once: it may have been this process that was late, or a restart. */
const RETRY = { baseMs: 1000, capMs: 5000 };
const FAILURES_BELIEVED = 2;
/** It is part of a row that every manager holds. */
const MAX_REASON = 250;

/** `onChange`: facts or trouble are other than before. */
export function engineWatch(runtime: Runtime, clock: Clock, rng: Rng, log: Logger, onChange: () => void): EngineWatch {
  const stopping = new AbortController();
  const stopped = (): boolean => stopping.signal.aborted;
  const retry = backoff(RETRY, rng);
  let facts = unknownEngine(runtime.name);
  let trouble: EngineTrouble | undefined;
  let describedMs: number | undefined;
  let failures = 0;
  let timer: Timer | undefined;

  /** Throws why it does not answer. */
  const ask = async (): Promise<void> => {
    const reason = await runtime.check(stopping.signal);
    if (reason !== undefined) throw new ShoalError('unavailable', reason);
    if (trouble === undefined && describedMs !== undefined && clock.nowMs() - describedMs < DESCRIBE_EVERY_MS) return;
    facts = await runtime.describe(stopping.signal);
    describedMs = clock.nowMs();
    if (trouble !== undefined) log.info('the engine answers', { runtime: runtime.name, version: facts.engine.version });
    trouble = undefined;
    onChange();
  };
  const failed = (error: unknown): void => {
    failures++;
    // Nothing is known yet of an engine that has never answered.
    if (failures < FAILURES_BELIEVED && describedMs !== undefined) return;
    const reason = oneLine(messageOf(error));
    if (reason === trouble?.reason) return;
    log.warn('no tasks can be started now', { reason });
    trouble = { reason, sinceUnixMs: trouble?.sinceUnixMs ?? clock.wallMs() };
    onChange();
  };
  const look = async (): Promise<void> => {
    try {
      await ask();
      failures = 0;
      retry.reset();
    } catch (error) {
      if (!stopped()) failed(error);
    }
    if (stopped()) return;
    timer = clock.after(failures > 0 ? retry.nextMs() : CHECK_EVERY_MS * (0.75 + rng.next() / 2), () => void look());
  };
  return {
    facts: () => facts,
    trouble: () => trouble,
    start: look,
    stop() {
      timer?.cancel();
      stopping.abort(new ShoalError('cancelled', 'the agent stops'));
    },
  };
}

function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, ' ').slice(0, MAX_REASON);
}
