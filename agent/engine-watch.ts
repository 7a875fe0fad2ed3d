// What the engine says of itself, asked until it answers and then now and then: engines are upgraded, and hosts get memory.
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf, ShoalError } from '../lib/errors.ts';
import { backoff } from '../lib/backoff.ts';
import type { Logger } from '../lib/log.ts';
import type { Rng } from '../lib/rng.ts';
import { type EngineFacts, unknownEngine } from './description.ts';
import type { Runtime } from './runtime/runtime.ts';

export interface EngineWatch {
  facts(): EngineFacts;
  /** Why nothing can run here now, or undefined. */
  trouble(): string | undefined;
  /** Resolves after the first answer or failure. */
  start(): Promise<void>;
  stop(): void;
}

const ASK_EVERY_MS = 5 * 60_000;
const RETRY = { baseMs: 500, capMs: 10_000 };

export function engineWatch(runtime: Runtime, clock: Clock, rng: Rng, log: Logger, onChange: () => void): EngineWatch {
  const stopping = new AbortController();
  const retry = backoff(RETRY, rng);
  let facts = unknownEngine(runtime.name);
  let trouble: string | undefined;
  let timer: Timer | undefined;

  const ask = async (): Promise<void> => {
    let delayMs = ASK_EVERY_MS;
    try {
      facts = await runtime.describe(stopping.signal);
      if (trouble !== undefined) log.info('the engine answers', { runtime: runtime.name, version: facts.engine.version });
      trouble = undefined;
      retry.reset();
      onChange();
    } catch (error) {
      if (stopping.signal.aborted) return;
      const reason = `the ${runtime.name} engine does not answer: ${messageOf(error)}`;
      if (reason !== trouble) log.warn('no tasks can be started now', { reason });
      trouble = reason;
      delayMs = retry.nextMs();
    }
    if (!stopping.signal.aborted) timer = clock.after(delayMs, () => void ask());
  };
  return {
    facts: () => facts,
    trouble: () => trouble,
    start: ask,
    stop() {
      timer?.cancel();
      stopping.abort(new ShoalError('cancelled', 'the agent stops'));
    },
  };
}
