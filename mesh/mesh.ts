// The mesh put together: the kept table drives the ports, the ports report to the agent. Needs no agent to serve what is on disk.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock } from '../lib/clock.ts';
import { messageOf, ShoalError } from '../lib/errors.ts';
import { type Logger } from '../lib/log.ts';
import { type Rng } from '../lib/rng.ts';
import { socketPath } from '../lib/socket-path.ts';
import { type DrainingIdle, type Epoch, type MeshHello, type MeshReport, type PortProblems, PortProtocol } from '../proto/index.ts';
import { ControlServer } from './control/server.ts';
import { type HttpNumbers } from './http/counters.ts';
import { HttpProtocol } from './http/protocol.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { ANY_ADDRESS } from './listener.ts';
import { Ports } from './ports.ts';
import { type Protocol } from './served-port.ts';
import { describeEpoch } from './table/epoch.ts';
import { loadTable, saveTable } from './table/file.ts';
import { TableKeeper } from './table/keeper.ts';
import { type Table, withoutTasks } from './table/table.ts';
import { type PortCounters } from './tcp/counters.ts';
import { TcpProtocol } from './tcp/protocol.ts';
import { Certificates } from './tls/certificates.ts';
import { type UdpCounters } from './udp/counters.ts';
import { UdpProtocol } from './udp/protocol.ts';

export interface MeshOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly dataDir: string;
  /** "": whatever the first agent says. */
  readonly nodeId: string;
  /** Numeric addresses; none: all of the host. */
  readonly listen: readonly string[];
  /** Added to every published port, for several nodes on one address. */
  readonly portOffset?: number;
  readonly limits?: Limits;
  /** Folder of the certificates; unset: "tls" in the data directory. */
  readonly tlsDir?: string | undefined;
  readonly version: string;
  /** An agent has asked the mesh to stop, leaving open connections so long. */
  readonly onStop: (periodMs: number) => void;
}

/** By published port. */
export interface MeshCounters {
  readonly http: HttpNumbers;
  readonly tcp: ReadonlyMap<number, Readonly<PortCounters>>;
  readonly udp: ReadonlyMap<number, Readonly<UdpCounters>>;
}

export class Mesh {
  readonly #options: MeshOptions;
  readonly #control: ControlServer;
  readonly #tcp: TcpProtocol;
  readonly #http: HttpProtocol;
  readonly #udp: UdpProtocol;
  readonly #ports: Ports;
  #keeper: TableKeeper | undefined;
  /** As it was given, with those that have ended. */
  #table: Table | undefined;
  /** Tasks of this node that have ended, by the word of its agent. */
  #ended: ReadonlySet<string> = new Set();
  #nodeId: string;
  /** What the agent was told last. */
  #idle: readonly string[] = [];
  #idleEpoch: Epoch | undefined;
  #problemsDue = false;
  #logged: ReadonlySet<string> = new Set();

  constructor(options: MeshOptions) {
    this.#options = options;
    this.#nodeId = options.nodeId;
    const { clock, rng, log } = options;
    const shared = { clock, rng, log, limits: options.limits ?? DEFAULT_LIMITS };
    this.#tcp = new TcpProtocol(shared);
    const certificates = new Certificates({ clock, log, dir: options.tlsDir ?? join(options.dataDir, 'tls') });
    this.#http = new HttpProtocol({ ...shared, certificates });
    this.#udp = new UdpProtocol({ clock, rng });
    this.#ports = new Ports({
      clock,
      nodeId: options.nodeId,
      addresses: options.listen.length === 0 ? [ANY_ADDRESS] : options.listen,
      portOffset: options.portOffset ?? 0,
      protocols: new Map<PortProtocol, Protocol>([
        [PortProtocol.TCP, this.#tcp],
        [PortProtocol.HTTP, this.#http],
        [PortProtocol.UDP, this.#udp],
      ]),
      onProblems: () => {
        this.#problemsLater();
      },
      onIdle: () => {
        this.#reportIdle();
      },
    });
    this.#control = new ControlServer({
      clock,
      log,
      path: socketPath(join(options.dataDir, 'mesh.sock')),
      onHello: (hello) => this.#greet(hello),
      onCommand: (command) => {
        switch (command.case) {
          case 'table':
            this.#keeper?.receiveTable(command.value);
            return;
          case 'delta':
            this.#keeper?.receiveDelta(command.value);
            return;
          case 'ended':
            this.#withdraw(command.value.taskIds);
            return;
          case 'stop':
            options.onStop(command.value.drainPeriodMs);
        }
      },
    });
  }

  get counters(): MeshCounters {
    return { http: this.#http, tcp: this.#tcp.counters, udp: this.#udp.counters };
  }

  /** Of the table in use. */
  get epoch(): Epoch | undefined {
    return this.#keeper?.epoch;
  }

  /** Serves the table on disk when it resolves. Throws `failed_precondition` where another mesh runs on the data directory. */
  async start(): Promise<void> {
    const { dataDir, log, clock, rng } = this.#options;
    try {
      await mkdir(dataDir, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new ShoalError('unavailable', `cannot make the data directory ${dataDir}: ${messageOf(error)}`, { cause: error });
    }
    // The socket is the lock: nothing of the directory is read, and no port opened, before it is held.
    await this.#control.start();
    const initial = this.#load();
    if (initial !== undefined) {
      await this.#serve(initial);
      log.info(`serving the saved route table of ${describeEpoch(initial.epoch)}`, { ports: initial.ports.size });
    }
    this.#keeper = new TableKeeper({
      clock,
      rng,
      initial,
      save: (table) => saveTable(dataDir, table),
      serve: (table) => this.#serve(table),
      acknowledge: (epoch) => {
        this.#control.send({ case: 'ack', value: epoch });
      },
      needFull: (epoch) => {
        this.#control.send({ case: 'needFull', value: epoch ?? NO_EPOCH });
      },
      fail: (error) => {
        log.warn(error.message, { code: error.code });
        this.#control.send({ case: 'failure', value: { code: error.code, message: error.message } });
      },
    });
  }

  /** Closes the ports, lets open connections end for `periodMs`, then ends them and gives the data directory back. */
  async stop(periodMs: number): Promise<void> {
    await this.#keeper?.stop();
    await this.#ports.stop(periodMs);
    await this.#control.stop();
  }

  #load(): Table | undefined {
    try {
      return loadTable(this.#options.dataDir);
    } catch (error) {
      this.#options.log.error(messageOf(error));
      return undefined;
    }
  }

  async #serve(table: Table): Promise<void> {
    this.#table = table;
    await this.#ports.apply(withoutTasks(table, this.#ended));
    this.#reportProblems();
    this.#options.log.debug(`serving the route table of ${describeEpoch(table.epoch)}`, { ports: table.ports.size });
    // Before the acknowledgement: whoever reads that may take the idle list that it has as the one of this epoch.
    this.#reportIdle(table.epoch);
  }

  /** At once: without a session no other table comes, and what has ended may leave its address to another container. */
  #withdraw(taskIds: readonly string[]): void {
    this.#ended = new Set(taskIds);
    if (this.#table !== undefined) void this.#ports.apply(withoutTasks(this.#table, this.#ended));
  }

  #greet(hello: MeshHello): readonly NonNullable<MeshReport['report']>[] {
    const keeper = this.#keeper;
    if (keeper === undefined) throw new ShoalError('unavailable', 'the mesh is still starting; try again');
    if (this.#nodeId !== '' && hello.nodeId !== '' && hello.nodeId !== this.#nodeId) {
      throw new ShoalError(
        'permission_denied',
        `this mesh belongs to node ${this.#nodeId}, not ${hello.nodeId}; each node needs a data directory of its own`,
      );
    }
    keeper.joinCluster(hello.clusterId);
    if (this.#nodeId === '') {
      this.#nodeId = hello.nodeId;
      this.#ports.setNodeId(hello.nodeId);
    }
    return [
      { case: 'ready', value: { version: this.#options.version, pid: process.pid, epoch: keeper.acknowledgedEpoch, answersPings: true } },
      { case: 'idle', value: this.#idleList(keeper.epoch) },
      { case: 'portProblems', value: this.#problems() },
    ];
  }

  /** `epoch`: of the table that is being put in use; the one in use otherwise. */
  #reportIdle(epoch = this.epoch): void {
    const before = this.#idle;
    const epochBefore = this.#idleEpoch;
    const value = this.#idleList(epoch);
    this.#idle = value.idleTaskIds;
    this.#idleEpoch = epoch;
    const same = before.length === this.#idle.length && before.every((taskId, index) => taskId === this.#idle[index]);
    if (same && (this.#idle.length === 0 || epoch === epochBefore)) return;
    this.#control.send({ case: 'idle', value });
  }

  #idleList(epoch: Epoch | undefined): DrainingIdle {
    return { epoch, idleTaskIds: this.#ports.idle() };
  }

  #problems(): PortProblems {
    return { ports: this.#ports.problems() };
  }

  /** Ports open and fail in swarms: one list for all of those of a moment. */
  #problemsLater(): void {
    if (this.#problemsDue) return;
    this.#problemsDue = true;
    setImmediate(() => {
      this.#reportProblems();
    });
  }

  #reportProblems(): void {
    if (!this.#problemsDue) return;
    this.#problemsDue = false;
    const value = this.#problems();
    const lines = value.ports.map((problem) => `published port ${String(problem.publishedPort)} is not served here: ${problem.message}`);
    for (const line of lines) {
      if (!this.#logged.has(line)) this.#options.log.warn(line);
    }
    this.#logged = new Set(lines);
    this.#control.send({ case: 'portProblems', value });
  }
}

const NO_EPOCH: Epoch = { clusterId: '', incarnation: '', incarnationNumber: 0, revision: 0 };
