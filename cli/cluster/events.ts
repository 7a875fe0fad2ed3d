// `events`: goes on at another manager where one goes away, from the revision that it had come to.
import { backoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { WatchEventsRequest } from '../../proto/index.ts';
import { messages } from '../client/stream.ts';
import { parseFilters, parsePoint } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { eventRenderer } from '../format/event.ts';
import { timestamp } from '../format/text.ts';

interface EventFlags {
  readonly filter?: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly format?: string;
}

/** Failures in a row, with nothing heard in between. */
const MAX_FAILURES = 10;
const RETRY = { baseMs: 250, capMs: 3000 };

/** Until Ctrl-C, or until the time or revision given. Rejects with `compacted` where events after --since are no longer kept. */
export async function run(context: VerbContext, _args: readonly string[], flags: EventFlags): Promise<undefined> {
  const { shell } = context;
  const render = eventRenderer(flags.format);
  let request = requestFrom(flags, shell.clock.wallMs());
  const control = await context.control();
  const interrupt = shell.interrupt();
  const delays = backoff(RETRY, shell.rng);
  for (let failures = 0; ; failures++) {
    try {
      const { client, target, options } = await control.streaming();
      for await (const { revision, events, keptSinceUnixMs } of messages(client.watchEvents(request, options), target)) {
        failures = 0;
        delays.reset();
        if (keptSinceUnixMs > 0 && request.sinceRevision === 0)
          shell.err.write(`events from before ${timestamp(keptSinceUnixMs)} are no longer kept\n`);
        if (!shell.out.write(events.map((event) => `${render(event, revision)}\n`).join(''))) await shell.out.drained();
        // Whatever comes next begins behind it.
        request = { ...request, sinceRevision: revision };
      }
      if (isAtEnd(request, shell.clock.wallMs())) return;
      throw new ShoalError('unavailable', `${target} ended the stream of events`);
    } catch (thrown) {
      const error = ShoalError.from(thrown);
      if (!isWorthAnother(error) || interrupt.aborted || failures >= MAX_FAILURES) throw error;
      await sleep(shell.clock, delays.nextMs(), interrupt);
    }
  }
}

/** A manager that stops ends its streams, too. */
function isAtEnd({ untilUnixMs, untilRevision }: WatchEventsRequest, nowMs: number): boolean {
  return untilRevision > 0 || (untilUnixMs > 0 && nowMs >= untilUnixMs);
}

/** The manager went away, is behind, or says that the reader was too slow for it. */
function isWorthAnother({ code, retryable }: ShoalError): boolean {
  return code === 'unavailable' || code === 'outcome_unknown' || (code === 'resource_exhausted' && retryable);
}

function requestFrom({ since, until, filter }: EventFlags, nowMs: number): WatchEventsRequest {
  const from = since === undefined ? undefined : parsePoint('--since', since, nowMs);
  const to = until === undefined ? undefined : parsePoint('--until', until, nowMs);
  const isBackward = (one = 0, other = 0): boolean => other !== 0 && one > other;
  if (isBackward(from?.unixMs, to?.unixMs) || isBackward(from?.revision, to?.revision))
    throw ShoalError.invalid('cannot show events', [{ path: '--until', message: `"${until ?? ''}" is before --since` }]);
  return {
    sinceRevision: from?.revision ?? 0,
    sinceUnixMs: from?.unixMs ?? 0,
    untilUnixMs: to?.unixMs ?? 0,
    untilRevision: to?.revision ?? 0,
    filters: parseFilters(filter),
  };
}
