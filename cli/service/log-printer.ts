// Lines of logs, each with the task it comes from: "web.3.p7q2x1ab9c0d@host1    | line".
import { type LogChunk, OutputSource } from '../../proto/index.ts';
import { shortId, timestamp } from '../format/text.ts';
import type { Shell } from '../shell.ts';
import { styled } from '../style.ts';

export interface LogStyle {
  /** Nothing but what the task printed (and the time, where asked for). */
  readonly raw: boolean;
  readonly timestamps: boolean;
  readonly taskIds: boolean;
  readonly truncate: boolean;
  /** Instead of node ids. */
  readonly hostnames: boolean;
}

const TASK_COLOURS = [
  'cyan',
  'yellow',
  'green',
  'magenta',
  'blue',
  'cyanBright',
  'yellowBright',
  'greenBright',
  'magentaBright',
  'blueBright',
] as const;

/** What tasks print to stderr goes to stderr, as it would without a cluster in between. Waits for a slow reader. */
export function logPrinter(shell: Shell, style: LogStyle): (chunk: LogChunk) => Promise<void> {
  let width = 0;
  return async (chunk) => {
    if (chunk.error !== '') {
      shell.err.write(`${styled(shell, shell.err, 'red', 'shoal:')} the logs of ${chunk.taskName} cannot be read: ${chunk.error}\n`);
      return;
    }
    const { chunk: output } = chunk;
    if (output === undefined || output.data.length === 0) return;
    const to = output.source === OutputSource.STDERR ? shell.err : shell.out;
    const time = style.timestamps ? `${output.timeUnixMs === 0 ? '-' : timestamp(output.timeUnixMs)} ` : '';
    if (style.raw && time === '') {
      if (!to.write(output.data)) await to.drained();
      return;
    }
    const source = style.raw ? '' : sourceName(chunk, style);
    width = Math.max(width, source.length);
    const prefix = style.raw ? time : `${time}${styled(shell, to, colourOf(chunk.taskName), `${source.padEnd(width)}    |`)} `;
    const text = Buffer.from(output.data).toString('utf8').replace(/\n$/, '');
    const lines = text.split('\n').map((line) => `${prefix}${line}\n`);
    if (!to.write(lines.join(''))) await to.drained();
  };
}

function sourceName(chunk: LogChunk, { taskIds, truncate, hostnames }: LogStyle): string {
  const id = taskIds ? `.${truncate ? shortId(chunk.taskId) : chunk.taskId}` : '';
  const node = hostnames && chunk.nodeHostname !== '' ? chunk.nodeHostname : chunk.nodeId;
  return `${chunk.taskName}${id}@${node}`;
}

/** The same task has the same colour in every run. */
function colourOf(taskName: string): (typeof TASK_COLOURS)[number] {
  let hash = 0;
  for (const character of taskName) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return TASK_COLOURS[hash % TASK_COLOURS.length] ?? 'cyan';
}
