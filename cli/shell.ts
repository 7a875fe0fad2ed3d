// The world that a verb sees: terminal, environment, clock and Ctrl-C. Passed in, so that tests run verbs without a process of their own.
import { once } from 'node:events';
import { homedir } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { type Clock, systemClock } from '../lib/clock.ts';
import { ShoalError } from '../lib/errors.ts';
import { type Rng, systemRng } from '../lib/rng.ts';

export interface Output {
  /** False: the reader is slow, wait for `drained` before writing much more. */
  write(data: string | Uint8Array): boolean;
  drained(): Promise<void>;
  readonly isTerminal: boolean;
  /** Of the terminal now; 80 and 24 where there is none. */
  readonly columns: number;
  readonly rows: number;
}

export interface Input {
  readonly stream: Readable;
  readonly isTerminal: boolean;
  setRaw(raw: boolean): void;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Shell {
  readonly out: Output;
  readonly err: Output;
  readonly input: Input;
  readonly env: Environment;
  /** Absolute. */
  readonly cwd: string;
  readonly home: string;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Aborted by the first Ctrl-C, SIGTERM or hangup of the terminal; a second Ctrl-C or SIGTERM ends the process. Nothing is caught before the first call. */
  interrupt(): AbortSignal;
  /** Aborted by the second one, which then does not end the process: only a third does. For what must not be left half stopped. */
  hurry(): AbortSignal;
  /** From now on output that nobody reads any more interrupts instead of ending the process: for what has to clean up in any case. */
  outliveOutput(): void;
  /** Calls at each change of the terminal's size; returns what ends that. */
  onResize(listener: () => void): () => void;
}

export function processShell(): Shell {
  let controller: AbortController | undefined;
  let hurry: AbortController | undefined;
  let outlivesOutput = false;
  const interrupt = (): AbortController => (controller ??= abortOnSignals(() => hurry));
  const onLost = (error: NodeJS.ErrnoException): void => {
    // The reader went away (`shoal service ls | head -1`): nothing is left to say to anybody.
    if (!outlivesOutput) process.exit(error.code === 'EPIPE' ? 0 : 1);
    interrupt().abort(interrupted());
  };
  return {
    out: outputOf(process.stdout, onLost),
    err: outputOf(process.stderr, onLost),
    input: {
      stream: process.stdin,
      isTerminal: process.stdin.isTTY,
      setRaw: (raw) => {
        if (process.stdin.isTTY) process.stdin.setRawMode(raw);
      },
    },
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    clock: systemClock,
    rng: systemRng,
    interrupt: () => interrupt().signal,
    hurry() {
      interrupt();
      hurry ??= new AbortController();
      return hurry.signal;
    },
    outliveOutput() {
      outlivesOutput = true;
    },
    onResize(listener) {
      process.stdout.on('resize', listener);
      return () => {
        process.stdout.off('resize', listener);
      };
    },
  };
}

const INTERRUPTED_EXIT = 130;

/** `hurry`: what the second signal aborts, if anything. */
function abortOnSignals(hurry: () => AbortController | undefined): AbortController {
  const controller = new AbortController();
  const onSignal = (): void => {
    const next = [controller, hurry()].find((one) => one?.signal.aborted === false);
    if (next === undefined) process.exit(INTERRUPTED_EXIT);
    next.abort(interrupted());
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // A closed terminal tells everybody in it, and some pass it on: however often it comes, nobody is in more of a hurry.
  process.on('SIGHUP', () => controller.abort(interrupted()));
  return controller;
}

function interrupted(): ShoalError {
  return new ShoalError('cancelled', 'interrupted');
}

function outputOf(stream: NodeJS.WriteStream, onLost: (error: NodeJS.ErrnoException) => void): Output {
  stream.on('error', onLost);
  return writableOutput(stream, {
    get isTerminal() {
      return stream.isTTY;
    },
    get columns() {
      return sizeOf(stream.columns, 80);
    },
    get rows() {
      return sizeOf(stream.rows, 24);
    },
  });
}

/** No terminal has no size; one that nobody told its size says 0 (CI, expect). */
function sizeOf(told: number | undefined, usual: number): number {
  return told === undefined || told === 0 ? usual : told;
}

function writableOutput(stream: Writable, size: Pick<Output, 'isTerminal' | 'columns' | 'rows'>): Output {
  return {
    write: (data) => stream.write(data),
    drained: async () => {
      if (stream.writableNeedDrain) await once(stream, 'drain');
    },
    get isTerminal() {
      return size.isTerminal;
    },
    get columns() {
      return size.columns;
    },
    get rows() {
      return size.rows;
    },
  };
}
