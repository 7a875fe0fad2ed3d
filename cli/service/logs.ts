// `service logs`
import { ShoalError } from '../../lib/errors.ts';
import { messages } from '../client/stream.ts';
import { parseMoment } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { logPrinter, type LogStyle } from './log-printer.ts';

interface LogFlags {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly since?: string;
  readonly timestamps?: boolean;
  readonly trunc?: boolean;
  readonly taskIds?: boolean;
  readonly resolve?: boolean;
  readonly raw?: boolean;
}

/** Exit code 1 where some task's logs could not be read. */
export async function run(context: VerbContext, refs: readonly string[], flags: LogFlags): Promise<number> {
  const { shell } = context;
  const request = {
    refs,
    follow: flags.follow === true,
    tail: parseTail(flags.tail),
    sinceUnixMs: flags.since === undefined ? 0 : parseMoment('--since', flags.since, shell.clock.wallMs()),
  };
  const style: LogStyle = {
    raw: flags.raw === true,
    timestamps: flags.timestamps === true,
    taskIds: flags.taskIds !== false,
    truncate: flags.trunc !== false,
    hostnames: flags.resolve !== false,
  };
  const print = logPrinter(shell, style);
  const control = await context.control();
  const { client, target, options } = await control.streaming();
  let failed = false;
  for await (const chunk of messages(client.logs(request, options), target)) {
    failed ||= chunk.error !== '';
    await print(chunk);
  }
  return failed ? 1 : 0;
}

/** -1: all. */
function parseTail(text: string | undefined): number {
  if (text === undefined || text === 'all') return -1;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw ShoalError.invalid('cannot show logs', [{ path: '--tail', message: `"${text}" is neither a number of lines nor "all"` }]);
}
