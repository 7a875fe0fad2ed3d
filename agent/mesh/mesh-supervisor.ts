// Keeps this node's mesh running: takes over one that runs already, starts one where none does, again at once when it dies or hangs, slower when it
// keeps doing so. One that is not of the agent's own build, or that is to be restarted, is asked to hand over to a new process: that costs no connection.
// The agent's own end does not touch it.
import { dirname, join } from 'node:path';
import type { PortProblem } from '../../proto/index.ts';
import { backoff } from '../../lib/backoff.ts';
import { type Clock, sleep, type Timer } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { isAlive, processId, type ProcessId } from '../../lib/process-id.ts';
import type { Rng } from '../../lib/rng.ts';
import { socketPath } from '../../lib/socket-path.ts';
import { type MeshLink, type MeshReportKind, openMeshLink } from './mesh-link.ts';
import { endHolder, endProcess, endRemains, launchedBefore, type MeshLauncher, readRecord, writeRecord } from './mesh-process.ts';
import { isOfFolder, runningMeshes } from './other-meshes.ts';
import { MESH_SILENCE_MS, type MeshPulse, startMeshPulse } from './mesh-pulse.ts';

export interface MeshHandlers {
  up(link: MeshLink): void;
  down(reason: string): void;
  report(report: MeshReportKind): void;
}

export interface MeshSupervisorOptions {
  readonly dataDir: string;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly launcher: MeshLauncher;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly handlers: MeshHandlers;
}

export interface MeshSupervisor {
  start(): void;
  /** Ends the mesh, which is then started anew: for one that does not acknowledge. */
  restart(reason: string): void;
  /** Lets go of the mesh, which goes on serving. */
  stop(): void;
  /** Ends the mesh, leaving open connections `drainMs`. */
  end(drainMs: number): Promise<void>;
}

const READY_MS = 3000;
/** A new process needs to load and to open its ports. */
const STARTUP_MS = 10_000;
const CONNECT_RETRY = { baseMs: 15, capMs: 100 };
/** A mesh that lived shorter than this is crash-looping. */
const STABLE_MS = 10_000;
const RELAUNCH = { baseMs: 100, capMs: 10_000 };
/** A mesh that was told to end and does not. */
const END_GRACE_MS = 1000;
/** Connections that are open when a mesh hands over may go on in the old process for so long. */
const HAND_OVER_DRAIN_MS = 600_000;
/** The new process loads, opens the ports, and answers on the socket. */
const HAND_OVER_MS = 20_000;
/** From the end of the old one's link to the first answer of the new one. */
const ARRIVAL_MS = 1000;
/** One that hangs hardly ever heeds a signal, and its ports are answered by nobody meanwhile. */
const HUNG_GRACE_MS = 250;

export function meshSupervisor(options: MeshSupervisorOptions): MeshSupervisor {
  const { dataDir, clock, rng, log, handlers, launcher } = options;
  const stopping = new AbortController();
  const stopped = (): boolean => stopping.signal.aborted;
  const relaunch = backoff(RELAUNCH, rng);
  const path = socketPath(join(dataDir, 'mesh.sock'));
  let link: MeshLink | undefined;
  let mesh: ProcessId | undefined = launchedBefore(dataDir);
  let pulse: MeshPulse | undefined;
  /** Other meshes that people were told about. */
  const named = new Set<number>();
  /** It is being ended: why, and whether as somebody asked. */
  let ending: { readonly why: string; readonly asked: boolean } | undefined;

  /** It was asked to hand over, and has neither done so nor refused. */
  let handingOver: { readonly from: ProcessId; readonly timer: Timer } | undefined;
  /** Somebody else's build is asked once: whatever kept it from handing over is in the log. */
  let askedForOwnBuild = false;

  const connect = (): Promise<MeshLink> =>
    openMeshLink({
      ...options,
      path,
      readyDeadlineMs: READY_MS,
      onReport: (report) => {
        if (report.case === 'portProblems') nameHolders(report.value.ports);
        if (report.case === 'failure') endHandOver();
        handlers.report(report);
      },
      onPong(sequence) {
        pulse?.answered(sequence);
      },
    });
  const endHandOver = (): ProcessId | undefined => {
    const from = handingOver?.from;
    handingOver?.timer.cancel();
    handingOver = undefined;
    return from;
  };
  const handOver = (over: MeshLink, from: ProcessId, reason: string, onFailure: () => void): void => {
    if (handingOver !== undefined || ending !== undefined) return;
    log.info('the mesh is to hand over to a new process', { pid: from.pid, reason });
    const timer = clock.after(
      HAND_OVER_MS,
      () => {
        handingOver = undefined;
        if (link !== over) return;
        log.warn('the mesh has not handed over', { pid: from.pid });
        onFailure();
      },
      true,
    );
    handingOver = { from, timer };
    over.sendHandOver({ command: launcher.command, drainPeriodMs: HAND_OVER_DRAIN_MS });
  };
  /** What is known of the mesh that has answered; one that was started otherwise than this agent would is to be replaced. */
  const recognize = (over: MeshLink, id: ProcessId, before: ProcessId | undefined): void => {
    const { build, earlier = [] } = readRecord(dataDir) ?? {};
    const isNew = before !== undefined && before.pid !== id.pid;
    const living = [...earlier, ...(isNew ? [before] : [])].filter(isAlive);
    const itsBuild = isNew ? launcher.build : build;
    writeRecord(dataDir, { ...id, build: itsBuild, earlier: living });
    if (itsBuild === launcher.build || askedForOwnBuild) return;
    askedForOwnBuild = true;
    if (over.ready.handsOver) handOver(over, id, 'it is of another build, or has other flags, than this agent', () => undefined);
    else log.warn('the mesh is of an earlier version, which cannot hand over; ending it would cut its connections', { pid: id.pid });
  };
  /** Tries until the process answers, is dead, or takes too long. `id` undefined: until anything answers. */
  const connectTo = async (id: ProcessId | undefined, deadlineMs: number): Promise<MeshLink> => {
    const until = clock.nowMs() + deadlineMs;
    const retry = backoff(CONNECT_RETRY, rng);
    for (;;) {
      try {
        return await connect();
      } catch (error) {
        if (stopped()) throw error;
        if (id !== undefined && !isAlive(id))
          throw new ShoalError('unavailable', `it ended at once; see ${join(dataDir, 'mesh.log')}`, { cause: error });
        if (clock.nowMs() >= until) throw error;
      }
      await sleep(clock, retry.nextMs(), stopping.signal);
    }
  };
  /** One whose files went with the folder that it was started on: it holds the ports, and nobody else can have it, since the folder is ours. */
  const endForgotten = async (): Promise<void> => {
    const earlier = new Set(readRecord(dataDir)?.earlier?.map(({ pid }) => pid));
    for (const { id, nodeId } of runningMeshes().filter((each) => !earlier.has(each.id.pid) && isOfFolder(each, dirname(dataDir)))) {
      log.warn('ending a mesh of this folder that was lost sight of', { pid: id.pid, nodeId });
      await endProcess(id, END_GRACE_MS, clock);
    }
  };
  /** Nothing is ended that another agent may have. */
  const nameHolders = (ports: readonly PortProblem[]): void => {
    if (ports.length === 0) return;
    for (const { id, nodeId, dataDir: folder } of runningMeshes()) {
      if (nodeId === options.nodeId || named.has(id.pid)) continue;
      named.add(id.pid);
      log.warn('published ports cannot be opened, and another mesh runs on this host', {
        ...{ ports: ports.map(({ publishedPort }) => publishedPort), pid: id.pid, nodeId, dataDir: folder },
        wayOut: `if its node is gone: shoal agent --purge --data-dir ${dirname(folder)}, or kill ${String(id.pid)}`,
      });
    }
  };
  const obtain = async (handedOver: boolean): Promise<MeshLink> => {
    if (handedOver) {
      const successor = await connectTo(undefined, ARRIVAL_MS).catch(() => undefined);
      if (successor !== undefined) return successor;
    }
    try {
      // One that an agent before this one has just started may still be loading.
      const found = await (mesh !== undefined && isAlive(mesh) ? connectTo(mesh, READY_MS) : connect());
      log.info('took over the running mesh', { pid: found.ready.pid });
      return found;
    } catch (error) {
      stopping.signal.throwIfAborted();
      if (mesh !== undefined && isAlive(mesh)) {
        log.warn('the mesh runs but does not answer; starting it anew', { pid: mesh.pid, reason: messageOf(error) });
        await endProcess(mesh, 0, clock);
      }
    }
    await endForgotten();
    stopping.signal.throwIfAborted();
    mesh = launcher.start();
    return connectTo(mesh, STARTUP_MS);
  };
  const endMesh = (graceMs: number, why: string, asked: boolean): void => {
    if (link === undefined || mesh === undefined || ending !== undefined) return;
    ending = { why, asked };
    const closing = link;
    endProcess(mesh, graceMs, clock)
      .catch((error: unknown) => {
        log.error('the mesh cannot be ended', { error });
      })
      .finally(() => {
        closing.close();
      });
  };
  const watchPulse = (over: MeshLink, pid: number): MeshPulse | undefined => {
    if (!over.ready.answersPings) return undefined;
    const fellSilent = (): void => {
      log.error('the mesh hangs; ending it', { pid, silentMs: MESH_SILENCE_MS });
      endMesh(HUNG_GRACE_MS, `it did not answer for ${String(MESH_SILENCE_MS / 1000)} s`, false);
    };
    return startMeshPulse(
      (sequence) => {
        over.sendPing(sequence);
      },
      clock,
      fellSilent,
    );
  };
  /** `handedOver`: the process whose link has ended because another took its place. Resolves to the same of this turn. */
  const superviseOnce = async (handedOver: ProcessId | undefined): Promise<ProcessId | undefined> => {
    const begunMs = clock.nowMs();
    let reason: string;
    try {
      const got = await obtain(handedOver !== undefined);
      if (stopped()) {
        got.close();
        return undefined;
      }
      link = got;
      mesh = processId(got.ready.pid);
      recognize(got, mesh, handedOver);
      pulse = watchPulse(got, mesh.pid);
      handlers.up(got);
      reason = await got.closed;
    } catch (error) {
      if (stopped()) return undefined;
      reason = messageOf(error);
    }
    link = undefined;
    pulse?.stop();
    pulse = undefined;
    const from = endHandOver();
    if (stopped()) return undefined;
    const ended = ending;
    ending = undefined;
    reason = ended?.why ?? reason;
    handlers.down(reason);
    if (ended === undefined && from !== undefined) return from;
    if (ended?.asked === true) return undefined;
    log.warn('the mesh is down; starting it again', { reason });
    if (clock.nowMs() - begunMs >= STABLE_MS) relaunch.reset();
    else await sleep(clock, relaunch.nextMs(), stopping.signal);
    return undefined;
  };
  const supervise = async (): Promise<void> => {
    let handedOver: ProcessId | undefined;
    while (!stopped()) handedOver = await superviseOnce(handedOver);
  };
  const stop = (): void => {
    stopping.abort(new ShoalError('cancelled', 'the agent stops'));
    pulse?.stop();
    endHolder(dataDir);
    link?.close();
  };

  return {
    start() {
      supervise().catch((error: unknown) => {
        if (!stopped()) log.error('the mesh is no longer supervised', { error });
      });
    },
    restart(reason) {
      if (link === undefined || mesh === undefined || ending !== undefined) return;
      log.warn('restarting the mesh, as a manager asks', { reason, pid: mesh.pid });
      const end = (): void => {
        endMesh(END_GRACE_MS, reason, true);
      };
      if (link.ready.handsOver) handOver(link, mesh, reason, end);
      else end();
    },
    stop,
    async end(drainMs) {
      stopping.abort(new ShoalError('cancelled', 'the agent stops'));
      pulse?.stop();
      link?.sendStop(drainMs);
      if (mesh !== undefined) await endProcess(mesh, drainMs + END_GRACE_MS, clock);
      await endRemains(dataDir, clock);
      link?.close();
    },
  };
}
