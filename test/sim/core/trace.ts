// What happened, for people: one line per event, with the virtual time and who it happened to. The same seed gives the same lines, byte for byte.
import type { LogFields, Logger } from '../../../lib/log.ts';
import type { Scheduler } from './scheduler.ts';

export interface Trace {
  line(actor: string, what: string): void;
  /** A logger whose lines become lines of the trace. */
  log(actor: string, isAlive: () => boolean): Logger;
  lines(): readonly string[];
  /** Of all lines, kept or not. */
  digest(): string;
}

export interface TraceOptions {
  readonly scheduler: Scheduler;
  /** How many of the last lines are kept; 0: nothing is traced. */
  readonly keep: number;
  /** The product's own debug lines, too. */
  readonly verbose: boolean;
}

export function createTrace({ scheduler, keep, verbose }: TraceOptions): Trace {
  let lines: string[] = [];
  let hash = 0x811c9dc5;
  const line = (actor: string, what: string): void => {
    const text = `${(scheduler.nowMs / 1000).toFixed(4).padStart(10)}  ${actor.padEnd(9)} ${what}`;
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
    lines.push(text);
    if (lines.length > 2 * keep) lines = lines.slice(-keep);
  };
  return {
    line,
    lines: () => lines.slice(-keep),
    digest: () => `${scheduler.steps}-${hash.toString(16)}`,
    log(actor, isAlive) {
      const write =
        (level: string) =>
        (message: string, fields?: LogFields): void => {
          if (keep > 0 && isAlive()) line(actor, `${level}: ${message}${describe(fields)}`);
        };
      const nothing = (): void => undefined;
      const make = (base: LogFields): Logger => {
        const withBase =
          (log: (message: string, fields?: LogFields) => void) =>
          (message: string, fields?: LogFields): void => {
            log(message, { ...base, ...fields });
          };
        return {
          error: withBase(write('ERROR')),
          warn: withBase(write('warn')),
          info: withBase(write('info')),
          debug: verbose ? withBase(write('debug')) : nothing,
          child: (more) => make({ ...base, ...more }),
        };
      };
      return make({});
    },
  };
}

/** Ids as short as people read them. */
export function short(id: string): string {
  return id.slice(0, 6);
}

const ID = /\b[0-9a-z]{25}\b/g;

function describe(fields: LogFields | undefined): string {
  if (fields === undefined) return '';
  let text = '';
  for (const [key, value] of Object.entries(fields)) {
    if (key === 'stack' || value === undefined) continue;
    text += ` ${key}=${value instanceof Error ? value.message : typeof value === 'string' ? value : JSON.stringify(value)}`;
  }
  return text.replace(ID, short);
}
