// One agent's connection: frames in and out, the hello before anything else, and bounds on what either side may leave lying about.
import { type Socket } from 'node:net';
import { type Clock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { encodeFrame, frameReader } from '../../lib/frames.ts';
import { MeshCommand, type MeshHello, MeshReport } from '../../proto/index.ts';

/** The largest table a cluster can have (thousands of ports with hundreds of targets) is a quarter of this. */
const MAX_FRAME_BYTES = 64 * 2 ** 20;
const HELLO_TIMEOUT_MS = 5000;
/** An agent that reads nothing: its reports wait in memory until here, then it is cut off and gets them anew when it comes back. */
const MAX_UNREAD_BYTES = 4 * 2 ** 20;

type Command = NonNullable<MeshCommand['command']>;

export interface SessionHandler {
  /** Throws a ShoalError to refuse the agent; otherwise the session is the agent's from now on. */
  hello(hello: MeshHello, session: Session): void;
  /** What this session does not answer by itself. */
  command(command: Exclude<Command, { readonly case: 'hello' | 'ping' }>): void;
  ended(session: Session): void;
}

export class Session {
  readonly #socket: Socket;
  readonly #handler: SessionHandler;
  #greeted = false;

  constructor(socket: Socket, handler: SessionHandler, clock: Clock, helloTimeoutMs = HELLO_TIMEOUT_MS) {
    this.#socket = socket;
    this.#handler = handler;
    const timer = clock.after(
      helloTimeoutMs,
      () => {
        if (!this.#greeted) this.#refuse(new ShoalError('deadline_exceeded', 'no hello in time'));
      },
      true,
    );
    const read = frameReader(MAX_FRAME_BYTES, (payload) => {
      this.#receive(payload);
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        read(chunk);
      } catch (error) {
        this.#refuse(ShoalError.from(error));
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      timer.cancel();
      handler.ended(this);
    });
  }

  send(report: NonNullable<MeshReport['report']>): void {
    if (this.#socket.destroyed || !this.#socket.writable) return;
    this.#socket.write(encodeFrame(MeshReport.encode({ report })));
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.#socket.destroy();
  }

  close(): void {
    this.#socket.destroySoon();
  }

  #receive(payload: Buffer): void {
    if (this.#socket.destroyed || !this.#socket.writable) return;
    let command: Command | undefined;
    try {
      command = MeshCommand.decode(payload).command;
    } catch (error) {
      throw new ShoalError('invalid_argument', 'a frame that is not a command', { cause: error });
    }
    // A command that this version does not know: the sender is newer, and must not depend on it.
    if (command === undefined) return;
    if (command.case === 'hello') {
      if (this.#greeted) throw new ShoalError('invalid_argument', 'a second hello');
      this.#handler.hello(command.value, this);
      this.#greeted = true;
      return;
    }
    if (!this.#greeted) throw new ShoalError('invalid_argument', `a ${command.case} before the hello`);
    if (command.case === 'ping') this.send({ case: 'pong', value: command.value });
    else this.#handler.command(command);
  }

  #refuse(error: ShoalError): void {
    this.send({ case: 'failure', value: { code: error.code, message: error.message } });
    this.close();
  }
}
