// The mesh of one simulated host: the product's own table keeper over the simulated disk, and its own book of drains over simulated connections. The stream
// to its agent is the one part of it that is not the product's: it carries the same messages, encoded.
import { Drains } from '../../../mesh/drains.ts';
import { loadTable, saveTable } from '../../../mesh/table/file.ts';
import { TableKeeper } from '../../../mesh/table/keeper.ts';
import { type Table, withoutTasks } from '../../../mesh/table/table.ts';
import type { Disk } from '../../../lib/durable-file.ts';
import { backoff } from '../../../lib/backoff.ts';
import type { MeshLink, MeshReportKind } from '../../../agent/mesh/mesh-link.ts';
import type { MeshSupervisor, MeshSupervisorOptions } from '../../../agent/mesh/mesh-supervisor.ts';
import { type Epoch, MeshEnded, MeshReport, RouteTable, RouteTableDelta, type RouteTarget, TargetState } from '../../../proto/index.ts';
import type { SimProcess } from '../core/process.ts';
import { between, delayMs, pickOrNone } from '../core/random.ts';
import type { Scheduler } from '../core/scheduler.ts';

export interface SimMesh {
  readonly process: SimProcess;
  /** In use now; undefined: none yet. */
  table(): Table | undefined;
  /** The product's rule on what a connection may go to: active targets. */
  targets(): readonly { readonly port: string; readonly serviceId: string; readonly target: RouteTarget }[];
  greet(agent: MeshSession, clusterId: string): readonly MeshReportKind[];
  tableCame(table: RouteTable): void;
  deltaCame(delta: RouteTableDelta): void;
  endsCame(ended: MeshEnded): void;
}

/** An agent's end of the stream. */
export interface MeshSession {
  report(report: MeshReportKind): void;
}

export interface SimMeshOptions {
  readonly process: SimProcess;
  readonly disk: Disk;
  readonly dataDir: string;
  readonly scheduler: Scheduler;
  readonly onServe: (table: Table) => void;
  readonly onConnect: (port: string, serviceId: string, target: RouteTarget) => void;
}

const NO_EPOCH: Epoch = { clusterId: '', incarnation: '', incarnationNumber: 0, revision: 0 };
/** Between two simulated connections. */
const CONNECT_MS = { from: 200, to: 3000 };
const CONNECTION_MS = { typical: 60, long: 4000 };

export function startMesh(options: SimMeshOptions): SimMesh {
  const { process, disk, dataDir } = options;
  const { clock, rng } = process;
  let agent: MeshSession | undefined;
  /** As it was given, and without what has ended here. */
  let given: Table | undefined;
  let inUse: Table | undefined;
  let ended: ReadonlySet<string> = new Set();
  let told: { readonly ids: readonly string[]; readonly epoch: Epoch | undefined } = { ids: [], epoch: undefined };
  const send = (report: MeshReportKind): void => {
    if (process.alive) agent?.report(report);
  };
  const drains = new Drains(() => {
    reportIdle(keeper.epoch);
  });
  const reportIdle = (epoch: Epoch | undefined): void => {
    const before = told;
    told = { ids: drains.idle(), epoch };
    const same = before.ids.length === told.ids.length && before.ids.every((id, at) => id === told.ids[at]);
    if (same && (told.ids.length === 0 || epoch === before.epoch)) return;
    send({ case: 'idle', value: { epoch, idleTaskIds: [...told.ids] } });
  };
  const follow = (table: Table): void => {
    given = table;
    inUse = withoutTasks(table, ended);
    drains.update(inUse.ports.values());
  };
  const use = (table: Table): void => {
    follow(table);
    options.onServe(inUse ?? table);
  };
  const initial = readTable(dataDir, disk);
  if (initial !== undefined) use(initial);
  const keeper: TableKeeper = new TableKeeper({
    clock,
    rng,
    initial,
    save: (table) => saveTable(dataDir, table, disk),
    serve: async (table) => {
      await new Promise<void>((resolve) => clock.after(delayMs(rng, 0.5, 10), resolve));
      use(table);
      reportIdle(table.epoch);
    },
    acknowledge: (epoch) => {
      send({ case: 'ack', value: epoch });
    },
    needFull: (epoch) => {
      send({ case: 'needFull', value: epoch ?? NO_EPOCH });
    },
    fail: (error) => {
      send({ case: 'failure', value: { code: error.code, message: error.message } });
    },
  });

  const targets = (): ReturnType<SimMesh['targets']> => {
    const all: { port: string; serviceId: string; target: RouteTarget }[] = [];
    for (const [port, route] of inUse?.ports ?? []) {
      for (const target of route.targets) {
        if (target.state === TargetState.TARGET_ACTIVE) all.push({ port, serviceId: route.serviceId, target });
      }
    }
    return all;
  };
  /** Somebody connects now and then, and stays a while. */
  const connect = (): void => {
    const chosen = pickOrNone(rng, targets());
    if (chosen !== undefined) {
      const { taskId } = chosen.target;
      drains.opened(taskId);
      options.onConnect(chosen.port, chosen.serviceId, chosen.target);
      clock.after(delayMs(rng, CONNECTION_MS.typical, CONNECTION_MS.long), () => {
        drains.closed(taskId);
      });
    }
    clock.after(between(rng, CONNECT_MS.from, CONNECT_MS.to), connect);
  };
  connect();

  return {
    process,
    table: () => inUse,
    targets,
    greet(session, clusterId) {
      keeper.joinCluster(clusterId);
      agent = session;
      return [
        {
          case: 'ready',
          value: { version: 'sim', pid: 1, epoch: keeper.acknowledgedEpoch, answersPings: true, answersStatus: false, handsOver: false },
        },
        { case: 'idle', value: { epoch: keeper.epoch, idleTaskIds: [...drains.idle()] } },
        { case: 'portProblems', value: { ports: [] } },
      ];
    },
    tableCame: (table) => {
      keeper.receiveTable(table);
    },
    deltaCame: (delta) => {
      keeper.receiveDelta(delta);
    },
    endsCame({ taskIds }) {
      ended = new Set(taskIds);
      if (given !== undefined) follow(given);
    },
  };
}

function readTable(dataDir: string, disk: Disk): Table | undefined {
  try {
    return loadTable(dataDir, disk);
  } catch {
    return undefined;
  }
}

export interface SupervisorWorld {
  readonly agent: SimProcess;
  readonly scheduler: Scheduler;
  /** The mesh that runs on this host now. */
  mesh(): SimMesh | undefined;
  /** Starts one; undefined: it could not be. */
  launch(): void;
}

const RETRY = { baseMs: 100, capMs: 2000 };

/** Stands for mesh-supervisor.ts, whose work is processes and sockets: takes over the mesh that runs, starts one where none does. */
export function simSupervisor(world: SupervisorWorld, options: MeshSupervisorOptions): MeshSupervisor {
  const { agent, scheduler } = world;
  const { handlers } = options;
  const retry = backoff(RETRY, agent.rng);
  let stopped = false;
  let current: { readonly mesh: SimMesh; close(reason: string): void } | undefined;

  const attempt = (): void => {
    if (stopped) return;
    const mesh = world.mesh();
    if (mesh === undefined) {
      world.launch();
      agent.clock.after(retry.nextMs(), attempt);
      return;
    }
    connect(mesh);
  };
  const connect = (mesh: SimMesh): void => {
    let open = true;
    const hop = (to: SimProcess, call: () => void): void => {
      scheduler.after(to, 0.05 + agent.rng.next() * 0.2, call);
    };
    /** In order, each way. */
    let upAtMs = 0;
    let downAtMs = 0;
    const up = (call: () => void): void => {
      upAtMs = Math.max(upAtMs + 0.001, scheduler.nowMs + 0.05 + agent.rng.next() * 0.2);
      scheduler.after(agent, upAtMs - scheduler.nowMs, call);
    };
    const down = (call: () => void): void => {
      downAtMs = Math.max(downAtMs + 0.001, scheduler.nowMs + 0.05 + agent.rng.next() * 0.2);
      scheduler.after(mesh.process, downAtMs - scheduler.nowMs, () => {
        if (open) call();
      });
    };
    let onClosed: (reason: string) => void = () => undefined;
    const closed = new Promise<string>((resolve) => {
      onClosed = resolve;
    });
    const close = (reason: string): void => {
      if (!open) return;
      open = false;
      if (current?.mesh === mesh) current = undefined;
      onClosed(reason);
      if (stopped || !agent.alive) return;
      handlers.down(reason);
      agent.clock.after(retry.nextMs(), attempt);
    };
    mesh.process.onDeath(() => {
      hop(agent, () => {
        close('it ended');
      });
    });
    const take = (report: MeshReportKind): void => {
      if (!open || stopped) return;
      if (report.case !== 'ready') {
        handlers.report(report);
        return;
      }
      retry.reset();
      const link: MeshLink = {
        ready: report.value,
        sendTable: (bytes) => {
          down(() => {
            mesh.tableCame(RouteTable.decode(bytes));
          });
          return open;
        },
        sendDelta: (bytes) => {
          down(() => {
            mesh.deltaCame(RouteTableDelta.decode(bytes));
          });
          return open;
        },
        sendEnded(taskIds) {
          const bytes = MeshEnded.encode({ taskIds: [...taskIds] });
          down(() => {
            mesh.endsCame(MeshEnded.decode(bytes));
          });
        },
        sendStop: () => undefined,
        sendHandOver: () => undefined,
        sendPing: () => undefined,
        sendStatusQuery: () => undefined,
        closed,
        close: () => {
          close('closed');
        },
      };
      handlers.up(link);
    };
    const session: MeshSession = {
      report(report) {
        const bytes = MeshReport.encode({ report });
        up(() => {
          const decoded = MeshReport.decode(bytes).report;
          if (decoded !== undefined && decoded.case !== 'pong') take(decoded);
        });
      },
    };
    current = { mesh, close };
    hop(mesh.process, () => {
      let reports: readonly MeshReportKind[];
      try {
        reports = mesh.greet(session, options.clusterId);
      } catch {
        hop(agent, () => {
          close('refused');
        });
        return;
      }
      for (const report of reports) session.report(report);
    });
  };
  return {
    start: attempt,
    restart(reason) {
      current?.mesh.process.kill(`restarted: ${reason}`);
    },
    stop() {
      stopped = true;
      current?.close('the agent stops');
    },
    end() {
      stopped = true;
      const { mesh } = current ?? {};
      current?.close('the agent ends it');
      mesh?.process.kill('its agent ended it');
      return Promise.resolve();
    },
  };
}
