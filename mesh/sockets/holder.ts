// Keeps the listening sockets open while the mesh process is gone: a shell, of a megabyte, that was given them and does nothing, so that after a crash
// clients wait in the backlog and are not refused. When the mesh has died the agent wakes it (SIGUSR1), and it becomes the next mesh, with the sockets.
// It never accepts. A mesh that ends in order, or opens and closes ports, tells it to go and starts another.
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Duplex } from 'node:stream';
import { type Clock, sleep, type Timer } from '../../lib/clock.ts';
import { readIfThere } from '../../lib/durable-file.ts';
import { messageOf } from '../../lib/errors.ts';
import { type Logger } from '../../lib/log.ts';
import { isAlive, type ProcessId, processId, signalGroup } from '../../lib/process-id.ts';
import { type SocketBook } from './book.ts';
import { LINE_FD, passingOn } from './passing.ts';

/** Who holds them, for the agent: {pid, startTime}. */
const HOLDER_FILE = 'holder.json';
/** Ports are opened in swarms; one holder for all of a moment. */
const RENEW_MS = 50;
/** A shell goes at once. */
const GONE_MS = 500;
const LOOK_MS = 5;

/**
 * A word on the line: go. Its end: the mesh is dead, and the agent has five seconds, for a port that nobody serves should refuse.
 * The sleep has the sockets too, so it is ended before the mesh begins; whoever ends the shell ends its process group.
 */
const SCRIPT = `trap 'eval "exec $SHOAL_RESUME"' USR1
read -r word <&${String(LINE_FD)} && exit 0
trap 'kill "$timer"; wait "$timer" 2>/dev/null; eval "exec $SHOAL_RESUME"' USR1
sleep 5 & timer=$!
wait "$timer"
`;

export interface HolderOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly dataDir: string;
  /** Starts the next mesh. */
  readonly command: readonly string[];
}

export class SocketHolder {
  readonly #options: HolderOptions;
  readonly #book: SocketBook;
  readonly #going = new Set<Promise<void>>();
  #current: ChildProcess | undefined;
  #timer: Timer | undefined;
  #on = false;

  constructor(options: HolderOptions, book: SocketBook) {
    this.#options = options;
    this.#book = book;
    book.onChange = (change) => {
      if (change === 'closed') this.#dismiss();
      if (this.#on) this.#renewLater();
    };
    book.settled = async () => {
      await Promise.all(this.#going);
    };
  }

  /** Sockets are held from now on. May be called again. */
  start(): void {
    if (this.#on) return;
    this.#on = true;
    this.#renewLater();
  }

  /** Nothing is held any more, and nothing will be. */
  stop(): void {
    this.#on = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#dismiss();
  }

  #renewLater(): void {
    this.#timer ??= this.#options.clock.after(
      RENEW_MS,
      () => {
        this.#timer = undefined;
        if (this.#on) this.#renew();
      },
      true,
    );
  }

  #renew(): void {
    const { dataDir, command, log } = this.#options;
    const before = this.#current;
    const { fds, env } = passingOn(this.#book.all(), false);
    if (fds.length > 0) {
      try {
        const stdio = ['ignore', 'inherit', 'inherit', 'pipe', ...fds] as const;
        const child = spawn('/bin/sh', ['-c', SCRIPT, 'shoal-sockets'], {
          detached: true,
          stdio: [...stdio],
          env: { ...process.env, ...env, SHOAL_RESUME: command.map(quoted).join(' ') },
        });
        child.on('error', (error) => {
          log.warn('the listening sockets cannot be kept through a crash', { error });
        });
        child.unref();
        const line = lineOf(child);
        line?.on('error', () => undefined);
        if (line !== null && 'unref' in line) (line as { unref(): void }).unref();
        writeFileSync(join(dataDir, HOLDER_FILE), JSON.stringify(processId(child.pid ?? 0)));
        this.#current = child;
      } catch (error) {
        log.warn('the listening sockets cannot be kept through a crash', { reason: messageOf(error) });
        this.#current = undefined;
      }
    }
    if (before !== undefined) this.#send(before);
  }

  #dismiss(): void {
    const child = this.#current;
    this.#current = undefined;
    if (child === undefined) return;
    rmSync(join(this.#options.dataDir, HOLDER_FILE), { force: true });
    this.#send(child);
  }

  /** Tells it to go. */
  #send(child: ChildProcess): void {
    const line = lineOf(child);
    const gone = new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(
        GONE_MS,
        () => {
          signalGroup(processId(child.pid ?? 0), 'SIGKILL');
          resolve();
        },
        true,
      );
      child.once('exit', () => {
        timer.cancel();
        resolve();
      });
    }).finally(() => {
      line?.destroy();
      this.#going.delete(gone);
    });
    this.#going.add(gone);
    line?.write('go\n');
  }
}

/** For a mesh that a holder has become. */
export function forgetHolder(dataDir: string): void {
  rmSync(join(dataDir, HOLDER_FILE), { force: true });
}

/** For a mesh that starts without its sockets: one that a dead mesh has left behind would keep its ports. Resolves when it is gone. */
export async function endLeftHolder(dataDir: string, clock: Clock): Promise<void> {
  const path = join(dataDir, HOLDER_FILE);
  let id: ProcessId;
  try {
    id = JSON.parse(readIfThere(path)?.toString() ?? '') as ProcessId;
  } catch {
    return;
  }
  const untilMs = clock.nowMs() + GONE_MS;
  if (signalGroup(id, 'SIGKILL')) while (isAlive(id) && clock.nowMs() < untilMs) await sleep(clock, LOOK_MS);
  rmSync(path, { force: true });
}

function lineOf(child: ChildProcess): Duplex | null {
  return (child.stdio as readonly unknown[])[LINE_FD] as Duplex | null;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
