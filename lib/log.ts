// Logging through winston, to stderr only: JSON lines, or short ones on a terminal. Nothing is logged per request.
import winston from 'winston';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
const LEVELS: LogLevel[] = ['error', 'warn', 'info', 'debug'];
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to each line. */
  child(fields: LogFields): Logger;
}

export interface LogOptions {
  /** "manager", "agent", "mesh", ... */
  readonly role: string;
  readonly level: LogLevel;
  /** auto: short lines where stderr is a terminal, JSON elsewhere. */
  readonly format: 'auto' | 'json' | 'short';
}

export function createLogger(options: LogOptions): Logger {
  const short = options.format === 'short' || (options.format === 'auto' && process.stderr.isTTY);
  const { combine, timestamp, json, printf } = winston.format;
  const logger = winston.createLogger({
    level: options.level,
    format: short ? combine(timestamp({ format: 'HH:mm:ss.SSS' }), printf(shortLine)) : combine(timestamp(), json()),
    transports: [new winston.transports.Console({ stderrLevels: LEVELS, forceConsole: false })],
  });
  return wrap(logger, { role: options.role });
}

function wrap(logger: winston.Logger, fields: LogFields): Logger {
  const write = (level: LogLevel, message: string, more: LogFields | undefined): void => {
    if (!logger.isLevelEnabled(level)) return;
    logger.log({ level, message, ...fields, ...plainErrors(more) });
  };
  return {
    error: (message, more) => {
      write('error', message, more);
    },
    warn: (message, more) => {
      write('warn', message, more);
    },
    info: (message, more) => {
      write('info', message, more);
    },
    debug: (message, more) => {
      write('debug', message, more);
    },
    child: (more) => wrap(logger, { ...fields, ...more }),
  };
}

function plainErrors(fields: LogFields | undefined): LogFields {
  if (fields === undefined) return {};
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? describe(value) : value]));
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? ` (${describe(error.cause)})` : '';
  return `${error.message}${cause}`;
}

function shortLine(info: winston.Logform.TransformableInfo): string {
  const { timestamp, level, message, role, ...fields } = info;
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [timestamp, level.toUpperCase().padEnd(5), role, message, ...rest].join(' ');
}

/** A logger that drops everything; for tests and pure parts that are used without a shell. */
export const silentLogger: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  child: () => silentLogger,
};
