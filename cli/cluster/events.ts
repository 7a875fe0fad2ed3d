// `events`
import { ShoalError } from '../../lib/errors.ts';
import { messages } from '../client/stream.ts';
import { parseFilters, parseMoment } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { eventRenderer } from '../format/event.ts';

interface EventFlags {
  readonly filter?: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly format?: string;
}

/** Goes on until Ctrl-C, or until the time given. */
export async function run(context: VerbContext, _args: readonly string[], flags: EventFlags): Promise<undefined> {
  const { shell } = context;
  const nowMs = shell.clock.wallMs();
  const request = {
    sinceRevision: 0,
    sinceUnixMs: flags.since === undefined ? 0 : parseMoment('--since', flags.since, nowMs),
    untilUnixMs: flags.until === undefined ? 0 : parseMoment('--until', flags.until, nowMs),
    filters: parseFilters(flags.filter),
  };
  if (request.untilUnixMs !== 0 && request.sinceUnixMs > request.untilUnixMs)
    throw ShoalError.invalid('cannot show events', [{ path: '--until', message: 'is before --since' }]);
  const render = eventRenderer(flags.format);
  const control = await context.control();
  const { client, target, options } = await control.streaming();
  for await (const { events } of messages(client.watchEvents(request, options), target)) {
    if (!shell.out.write(events.map((event) => `${render(event)}\n`).join(''))) await shell.out.drained();
  }
}
