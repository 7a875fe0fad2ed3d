// A shell without a process: what verbs print is kept, Ctrl-C is a function, the environment is the test's.
import { PassThrough } from 'node:stream';
import { runCli } from '../../cli/run.ts';
import type { Output, Shell } from '../../cli/shell.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { seededRng } from '../../lib/rng.ts';

export interface CapturedOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly home?: string;
  readonly clock?: Clock;
  /** Both outputs and the input are terminals. */
  readonly terminal?: boolean;
  readonly columns?: number;
}

export interface CapturedShell {
  readonly shell: Shell;
  readonly input: PassThrough;
  stdout(): string;
  stderr(): string;
  /** As Ctrl-C; the second call hurries. */
  interrupt(): void;
  /** As a change of the window's size. */
  resize(): void;
  readonly rawModes: readonly boolean[];
}

/** The wall clock stands at this time, so that "3 minutes ago" stays so. */
export const NOW_UNIX_MS = Date.UTC(2026, 0, 2, 12, 0, 0);

export function capturedShell(options: CapturedOptions = {}): CapturedShell {
  const { terminal = false, columns = 80 } = options;
  const [out, err] = [captured(terminal, columns), captured(terminal, columns)];
  const [controller, hurry] = [new AbortController(), new AbortController()];
  const resizeListeners = new Set<() => void>();
  const rawModes: boolean[] = [];
  const input = new PassThrough();
  return {
    input,
    rawModes,
    stdout: () => out.text(),
    stderr: () => err.text(),
    interrupt: () => {
      const next = controller.signal.aborted ? hurry : controller;
      next.abort(new ShoalError('cancelled', 'interrupted'));
    },
    resize: () => {
      for (const listener of resizeListeners) listener();
    },
    shell: {
      out: out.output,
      err: err.output,
      input: {
        stream: input,
        isTerminal: terminal,
        setRaw: (raw) => {
          rawModes.push(raw);
        },
      },
      env: options.env ?? {},
      cwd: options.cwd ?? '/nowhere',
      home: options.home ?? '/nowhere',
      clock: options.clock ?? { ...systemClock, wallMs: () => NOW_UNIX_MS },
      rng: seededRng(1),
      interrupt: () => controller.signal,
      hurry: () => hurry.signal,
      outliveOutput: () => undefined,
      onResize: (listener) => {
        resizeListeners.add(listener);
        return () => resizeListeners.delete(listener);
      },
    },
  };
}

function captured(isTerminal: boolean, columns: number): { readonly output: Output; text(): string } {
  const chunks: Buffer[] = [];
  return {
    text: () => Buffer.concat(chunks).toString('utf8'),
    output: {
      write: (data) => {
        chunks.push(Buffer.from(data));
        return true;
      },
      drained: () => Promise.resolve(),
      isTerminal,
      columns,
      rows: 24,
    },
  };
}

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `shoal ARGS` in this process, without roles. */
export async function shoal(args: readonly string[], options: CapturedOptions & { readonly manager?: string } = {}): Promise<CliResult> {
  const captured = capturedShell(options);
  const exitCode = await runCli(options.manager === undefined ? args : ['--host', options.manager, ...args], captured.shell, []);
  return { exitCode, stdout: captured.stdout(), stderr: captured.stderr() };
}
