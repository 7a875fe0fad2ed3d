// The mesh's end of the stream between an agent and its mesh. Agents come and go; the one that said hello last is heard, and told everything.
import { createServer, type Server, type Socket } from 'node:net';
import { type Clock } from '../../lib/clock.ts';
import { type Logger } from '../../lib/log.ts';
import { type MeshHello, type MeshReport } from '../../proto/index.ts';
import { Session, type SessionHandler } from './session.ts';
import { claimSocket } from './socket-file.ts';

/** Agents at once, those included that have not said hello yet. */
const MAX_SESSIONS = 16;

/** Beyond the time that whoever started it gives it. */
const SUCCESSOR_HELLO_MS = 60_000;

type Report = NonNullable<MeshReport['report']>;

export interface ControlOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly path: string;
  /** The reports that an agent gets first. Throws a ShoalError to refuse it. */
  readonly onHello: (hello: MeshHello) => readonly Report[];
  readonly onCommand: SessionHandler['command'];
  /** The agent has gone, and no other has come. */
  readonly onGone: () => void;
}

export class ControlServer {
  readonly #options: ControlOptions;
  readonly #handler: SessionHandler;
  readonly #server: Server;
  readonly #sessions = new Set<Session>();
  #current: Session | undefined;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#handler = {
      hello: (hello, session) => {
        this.#greet(hello, session);
      },
      command: options.onCommand,
      ended: (session) => {
        this.#sessions.delete(session);
        if (this.#current !== session) return;
        this.#current = undefined;
        options.onGone();
        options.log.info('the agent is gone; serving the last table until it is back');
      },
    };
    this.#server = createServer((socket) => {
      this.#sessions.add(new Session(socket, this.#handler, options.clock));
    });
    this.#server.maxConnections = MAX_SESSIONS;
  }

  /** Throws `failed_precondition` where another mesh runs on the same data directory. */
  async start(): Promise<void> {
    await claimSocket(this.#server, this.#options.path, this.#options.clock);
    this.#server.on('error', (error) => {
      this.#options.log.warn('the control socket cannot accept', { error });
    });
  }

  /** To the agent, if there is one; one that comes later gets the whole state with its hello. */
  send(report: Report): void {
    this.#current?.send(report);
  }

  /** The line to this mesh's successor, which is heard as an agent is. `release`: done at its hello; then it has the socket, and agents are its. */
  succeededOver(line: Socket, release: () => Promise<void>): void {
    const session: Session = new Session(
      line,
      {
        ...this.#handler,
        hello: (hello) => {
          void release().then(() => {
            this.#server.close();
            for (const other of this.#sessions) if (other !== session) other.close();
            this.#greet(hello, session);
          });
        },
      },
      this.#options.clock,
      SUCCESSOR_HELLO_MS,
    );
    this.#sessions.add(session);
  }

  /** Gives the socket and with it the data directory back. */
  async stop(): Promise<void> {
    for (const session of this.#sessions) session.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }

  #greet(hello: MeshHello, session: Session): void {
    const reports = this.#options.onHello(hello);
    const before = this.#current;
    this.#current = session;
    before?.close();
    for (const report of reports) session.send(report);
    this.#options.log.info('an agent has connected');
  }
}
