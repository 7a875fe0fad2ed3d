// The mesh put together: the kept table drives the ports, the ports report to the agent. Needs no agent to serve what is on disk.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock } from '../lib/clock.ts';
import { messageOf, ShoalError } from '../lib/errors.ts';
import { type Logger } from '../lib/log.ts';
import { type Rng } from '../lib/rng.ts';
import { socketPath } from '../lib/socket-path.ts';
import {
  type DrainingIdle,
  type Epoch,
  type MeshHandOver,
  type MeshHello,
  type MeshReport,
  type MeshStatusPage,
  type MeshStatusQuery,
  type PortProblems,
  PortProtocol,
  type PortRoute,
} from '../proto/index.ts';
import { ControlServer } from './control/server.ts';
import { type HttpNumbers } from './http/counters.ts';
import { HttpProtocol } from './http/protocol.ts';
import { type PathInUse } from './kernel/eligible.ts';
import { type KernelCounter, KernelPath, type KernelSystem } from './kernel/kernel-path.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { ANY_ADDRESS } from './listener.ts';
import { Ports } from './ports.ts';
import { type Protocol } from './served-port.ts';
import { SocketBook } from './sockets/book.ts';
import { endLeftHolder, forgetHolder, SocketHolder } from './sockets/holder.ts';
import { type Inheritance } from './sockets/passing.ts';
import { pageOf } from './status.ts';
import { Predecessor } from './succession/predecessor.ts';
import { startSuccessor } from './succession/successor.ts';
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
  readonly kernel: KernelSystem;
  /** An agent has asked the mesh to stop, leaving open connections so long. */
  readonly onStop: (periodMs: number) => void;
  /** What a mesh before this one has left it; nothing unless given. */
  readonly inheritance?: Inheritance;
  /** How the next mesh is started by whoever keeps the sockets through a crash of this one; unless given, nobody does. */
  readonly command?: readonly string[];
  /** A successor serves, and is to have whatever else there can be one of only; awaited. */
  readonly onHandOver?: () => Promise<void>;
  /** It has all but the open connections, which may go on so long. */
  readonly onHandedOver?: (periodMs: number) => void;
}

/** By published port. */
export interface MeshCounters {
  readonly http: HttpNumbers;
  readonly tcp: ReadonlyMap<number, Readonly<PortCounters>>;
  readonly udp: ReadonlyMap<number, Readonly<UdpCounters>>;
  readonly kernel: readonly KernelCounter[];
}

export class Mesh {
  readonly #options: MeshOptions;
  readonly #control: ControlServer;
  readonly #tcp: TcpProtocol;
  readonly #http: HttpProtocol;
  readonly #udp: UdpProtocol;
  readonly #ports: Ports;
  readonly #kernel: KernelPath;
  readonly #startedMs: number;
  readonly #book: SocketBook;
  readonly #holder: SocketHolder | undefined;
  #predecessor: Predecessor | undefined;
  #succession: 'none' | 'begun' | 'done' = 'none';
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
  /** No mesh is to follow this one. */
  #endsForGood = false;
  #logged: ReadonlySet<string> = new Set();

  constructor(options: MeshOptions) {
    this.#options = options;
    this.#nodeId = options.nodeId;
    const { clock, rng, log } = options;
    this.#startedMs = clock.nowMs();
    this.#book = new SocketBook(options.inheritance?.sockets);
    const { command, dataDir } = options;
    this.#holder = command === undefined ? undefined : new SocketHolder({ clock, log, dataDir, command }, this.#book);
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
      sockets: this.#book,
      protocols: new Map<PortProtocol, Protocol>([
        [PortProtocol.TCP, this.#tcp],
        [PortProtocol.HTTP, this.#http],
        [PortProtocol.UDP, this.#udp],
      ]),
      onProblems: () => {
        this.#problemsLater();
        this.#kernel.listenersChanged();
      },
      onIdle: () => {
        this.#reportIdle();
      },
    });
    this.#kernel = new KernelPath({
      clock,
      rng,
      log,
      system: options.kernel,
      nodeId: options.nodeId,
      listen: options.listen,
      portOffset: options.portOffset ?? 0,
      drains: this.#ports.drains,
      problemOf: (route) => this.#ports.problemOf(route),
    });
    this.#control = new ControlServer({
      clock,
      log,
      path: socketPath(join(options.dataDir, 'mesh.sock')),
      onHello: (hello) => this.#greet(hello),
      // Nobody would start the mesh again: then a port that nobody serves should refuse.
      onGone: () => this.#holder?.stop(),
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
            this.#endsForGood = true;
            options.onStop(command.value.drainPeriodMs);
            return;
          case 'status':
            this.#control.send({ case: 'status', value: this.#statusPage(command.value) });
            return;
          case 'handOver':
            this.#handOver(command.value);
        }
      },
    });
  }

  get counters(): MeshCounters {
    return { http: this.#http, tcp: this.#tcp.counters, udp: this.#udp.counters, kernel: this.#kernel.counters };
  }

  /** Which path new connections of the route take, and why. */
  pathOf(route: PortRoute): PathInUse {
    return this.#kernel.pathOf(route);
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
    const { inheritance } = this.#options;
    const predecessor =
      inheritance?.fromLiving === true
        ? new Predecessor({
            clock,
            onIdle: () => {
              this.#reportIdle();
            },
          })
        : undefined;
    // The socket is the lock: nothing of the directory is read, and no port opened, before it is held, or its holder has asked for it.
    if (predecessor === undefined) await this.#control.start();
    if (predecessor === undefined) {
      if (inheritance === undefined || inheritance.sockets.length === 0) await endLeftHolder(dataDir, clock);
      else forgetHolder(dataDir);
    }
    const initial = this.#load();
    if (initial !== undefined) {
      await this.#serve(initial);
      log.info(`serving the saved route table of ${describeEpoch(initial.epoch)}`, { ports: initial.ports.size });
    }
    this.#book.closeUntaken();
    this.#keeper = new TableKeeper({
      clock,
      rng,
      initial,
      // What a successor has saved must not be replaced by what it has told us since.
      save: (table) => (this.#succession === 'done' ? Promise.resolve() : saveTable(dataDir, table)),
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
    if (predecessor === undefined) return;
    await predecessor.takeOver({ nodeId: this.#nodeId, clusterId: initial?.epoch.clusterId ?? '' });
    this.#predecessor = predecessor;
    this.#kernel.tookOver();
    await this.#control.start();
    log.info('took over from the mesh that served before');
  }

  /** After the hand-over: resolves when the last client of this process, and of one before it that it speaks for, is gone, or after `periodMs`. */
  async drained(periodMs: number): Promise<void> {
    const all = Promise.all([this.#ports.emptied(periodMs), this.#predecessor?.ended]);
    await Promise.race([
      all,
      new Promise<void>((resolve) => {
        this.#options.clock.after(periodMs, resolve, true);
      }),
    ]);
  }

  /**
   * Closes the ports, lets open connections end for `periodMs`, then ends them and gives the data directory back. What is in the kernel serves on until the
   * next mesh of this node, unless an agent has asked for the end: then nothing is left there.
   */
  async stop(periodMs: number): Promise<void> {
    this.#holder?.stop();
    await this.#keeper?.stop();
    // An agent asks, then signals; what it asked may still be on its way.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#endsForGood) await this.#kernel.close();
    await this.#ports.stop(periodMs);
    await this.#kernel.stop(this.#endsForGood);
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
    await Promise.all([this.#ports.apply(withoutTasks(table, this.#ended)), this.#predecessor?.follow(table)]);
    // More may have ended meanwhile.
    await this.#kernel.apply(withoutTasks(table, this.#ended));
    this.#reportProblems();
    this.#options.log.debug(`serving the route table of ${describeEpoch(table.epoch)}`, { ports: table.ports.size });
    // Before the acknowledgement: whoever reads that may take the idle list that it has as the one of this epoch.
    this.#reportIdle(table.epoch);
  }

  /** At once: without a session no other table comes, and what has ended may leave its address to another container. */
  #withdraw(taskIds: readonly string[]): void {
    this.#ended = new Set(taskIds);
    if (this.#table === undefined) return;
    const rest = withoutTasks(this.#table, this.#ended);
    void this.#ports.apply(rest);
    void this.#kernel.apply(rest);
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
    if (this.#succession === 'none') this.#holder?.start();
    if (this.#nodeId === '') {
      this.#nodeId = hello.nodeId;
      this.#ports.setNodeId(hello.nodeId);
      this.#kernel.setNodeId(hello.nodeId);
    }
    const { version } = this.#options;
    const ready = { version, pid: process.pid, epoch: keeper.acknowledgedEpoch, answersPings: true, answersStatus: true, handsOver: true };
    return [
      { case: 'ready', value: ready },
      { case: 'idle', value: this.#idleList(keeper.epoch) },
      { case: 'portProblems', value: this.#problems() },
    ];
  }

  #handOver({ command, drainPeriodMs }: MeshHandOver): void {
    const { clock, log, onHandOver, onHandedOver } = this.#options;
    const fail = (error: ShoalError): void => {
      this.#succession = 'none';
      log.warn(error.message, { code: error.code });
      this.#control.send({ case: 'failure', value: { code: error.code, message: error.message } });
    };
    if (this.#succession !== 'none') return;
    this.#succession = 'begun';
    try {
      const successor = startSuccessor({ clock, command, sockets: this.#book.all(), onFailure: fail });
      this.#control.succeededOver(successor.line, async () => {
        successor.arrived();
        this.#succession = 'done';
        this.#holder?.stop();
        await onHandOver?.();
        await this.#kernel.handOver();
        this.#ports.handOver();
        log.info('another process has taken over; open connections go on', { open: this.#ports.connections, waitMs: drainPeriodMs });
        onHandedOver?.(drainPeriodMs);
      });
    } catch (error) {
      fail(ShoalError.from(error));
    }
  }

  #statusPage(query: MeshStatusQuery): MeshStatusPage {
    const { version, clock } = this.#options;
    const nowMs = clock.nowMs();
    return {
      sequence: query.sequence,
      version,
      pid: process.pid,
      uptimeMs: Math.round(nowMs - this.#startedMs),
      epoch: this.epoch,
      ...pageOf(this.#ports.seen(), query, nowMs, (route) => this.pathOf(route)),
    };
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
    return { epoch, idleTaskIds: this.#ports.idle().filter((taskId) => this.#predecessor?.isIdle(taskId) ?? true) };
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
