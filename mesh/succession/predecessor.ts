// The mesh that served here before, and still carries connections: it follows our tables, and a draining task is idle only when it is so there, too.
import { Socket } from 'node:net';
import { type Clock, withDeadline } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { encodeFrame, frameReader } from '../../lib/frames.ts';
import { MeshCommand, type MeshHello, MeshReport } from '../../proto/index.ts';
import { LINE_FD } from '../sockets/passing.ts';
import { type Table, toMessage } from '../table/table.ts';

/** For it to let go of its sockets. */
const RELEASE_MS = 5000;
/** How long an acknowledgement waits for it: it has nothing to do but to follow. */
const FOLLOW_MS = 1000;
const MAX_REPORT_BYTES = 8 * 2 ** 20;

export interface PredecessorOptions {
  readonly clock: Clock;
  /** `isIdle` has changed, or it is gone. */
  readonly onIdle: () => void;
}

export class Predecessor {
  readonly #options: PredecessorOptions;
  readonly #line: Socket;
  #idle: ReadonlySet<string> = new Set();
  /** Of the table that it has. */
  #revision: number | undefined;
  #released = false;
  #gone = false;
  /** Resolves when it is gone. */
  readonly ended: Promise<void>;
  /** Something came, or it is gone. */
  #wake: () => void = () => undefined;

  /** `line`: unless given, the one that this process was started with. */
  constructor(options: PredecessorOptions, line: Socket = new Socket({ fd: LINE_FD })) {
    this.#options = options;
    this.#line = line;
    const read = frameReader(MAX_REPORT_BYTES, (payload) => {
      this.#take(MeshReport.decode(payload).report);
    });
    line.on('data', (chunk: Buffer) => {
      try {
        read(chunk);
      } catch {
        line.destroy();
      }
    });
    line.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      line.on('close', () => {
        this.#gone = true;
        resolve();
        this.#wake();
        options.onIdle();
      });
    });
    line.unref();
  }

  /** We serve: it lets go of the control socket and of its listening sockets, and only then this resolves. Throws where it does not. */
  async takeOver(hello: MeshHello): Promise<void> {
    this.#send({ case: 'hello', value: hello });
    await this.#until(RELEASE_MS, 'the release by the mesh that served before', () => this.#released);
    if (!this.#released) throw new ShoalError('unavailable', 'the mesh that served before ended in the middle of the hand-over');
  }

  /** Resolves when it has the table, is gone, or had its time. */
  async follow(table: Table): Promise<void> {
    if (this.#gone) return;
    this.#send({ case: 'table', value: toMessage(table) });
    try {
      await this.#until(FOLLOW_MS, 'the acknowledgement of the mesh that served before', () => this.#revision === table.epoch.revision);
    } catch {
      // It hangs: nobody waits for it longer than for a node.
    }
  }

  /** Of a draining task. */
  isIdle(taskId: string): boolean {
    return this.#gone || this.#idle.has(taskId);
  }

  #take(report: MeshReport['report']): void {
    switch (report?.case) {
      case 'ready':
        this.#released = true;
        this.#revision = report.value.epoch?.revision;
        break;
      case 'ack':
        this.#revision = report.value.revision;
        break;
      case 'idle':
        this.#idle = new Set(report.value.idleTaskIds);
        this.#options.onIdle();
        break;
      default:
        return;
    }
    this.#wake();
  }

  #send(command: NonNullable<MeshCommand['command']>): void {
    if (!this.#line.destroyed) this.#line.write(encodeFrame(MeshCommand.encode({ command })));
  }

  async #until(deadlineMs: number, what: string, isSo: () => boolean): Promise<void> {
    const changed = async (): Promise<void> => {
      while (!isSo() && !this.#gone) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    await withDeadline(this.#options.clock, deadlineMs, what, changed);
  }
}
