// The agent put together: what comes down the session goes to the worker, the mesh and the streams; what they report goes up.
import type { NodeRemoved, Register, Registered } from '../proto/index.ts';
import { systemDisk, watchedDisk } from '../lib/durable-file.ts';
import { messageOf, ShoalError } from '../lib/errors.ts';
import { bootId } from '../lib/process-id.ts';
import { grpcTransport } from '../lib/rpc/index.ts';
import type { Agent, AgentOptions } from './agent-options.ts';
import { describeNode } from './description.ts';
import { engineWatch } from './engine-watch.ts';
import { meshStatus } from './mesh/mesh-status.ts';
import { runningMeshes } from './mesh/other-meshes.ts';
import { routeRelay } from './mesh/route-relay.ts';
import { routeReports } from './mesh/route-reports.ts';
import { createNodeParts, type NodeParts } from './node-parts.ts';
import { otherNodes } from './other-nodes.ts';
import { clearRemovedNode, type RemovedNode } from './removed-node.ts';
import { openAssignments } from './session/assignment-keeper.ts';
import { type ManagerLink, managerLink } from './session/manager-link.ts';
import { openManagerList } from './session/manager-list.ts';
import type { DownMessage } from './session/manager-message.ts';
import { type AppliedEpochs, fateRefusal, removalRefusal } from './session/removal.ts';
import { resyncAsker } from './session/resync.ts';
import type { Session } from './session/session.ts';
import { statusOutbox } from './session/status-outbox.ts';
import { uplink } from './session/uplink.ts';
import { isFinal } from './worker/task-machine.ts';
import { taskStreams } from './streams/task-streams.ts';

/** After this long without an answer of the engine a new session hears what is recorded of the tasks. */
const ADOPTION_PATIENCE_MS = 5000;
const MESH_DRAIN_MS = 500;
/** Open connections through the mesh of a removed node: what is short ends by itself, and no task waits long for its stop. */
const REMOVED_MESH_DRAIN_MS = 5000;
/** What waits for a disk at the end of the agent. */
const LAST_WRITES_MS = 2000;

export function createAgent(options: AgentOptions): Agent {
  const { dataDir, clock, rng, log, identity, runtime } = options;
  const disk = watchedDisk(options.disk ?? systemDisk);
  const managers = openManagerList(dataDir, options.managers, rng, log, disk);
  if (managers.all().length === 0)
    throw new ShoalError('invalid_argument', 'no manager is known: give --manager HOST:PORT of one manager of the cluster');
  const outbox = statusOutbox();
  const relay = routeRelay();
  const boot = options.bootId ?? bootId();
  let parts: NodeParts | undefined;
  let sayRecorded = false;
  /** The mesh is about to hear which tasks have ended. */
  let endsDue = false;
  let clearing: RemovedNode | undefined;

  const engine = engineWatch(runtime, clock, rng, log, () => {
    up.descriptionChanged();
  });
  const description = (): ReturnType<typeof describeNode> => describeNode(options.description, engine.facts(), engine.trouble());
  const assignments = openAssignments({
    dataDir,
    disk,
    clock,
    rng,
    log,
    onApplied: (book, complete) => {
      if (clearing !== undefined) return;
      parts?.worker.apply(book.tasks, complete);
      if (complete) others.begin();
    },
  });

  const register = (): Register => ({
    nodeId: identity.current()?.nodeId ?? '',
    clusterId: identity.current()?.clusterId ?? '',
    bootId: boot,
    nonce: options.nonce,
    description: description(),
    assignments: assignments.appliedEpoch(),
    routes: relay.ack(),
    labels: { ...options.labels },
  });
  const link: ManagerLink = managerLink({
    managers,
    clock,
    rng,
    log,
    register,
    transport: options.transport ?? grpcTransport(),
    handlers: {
      registered(registered: Registered) {
        identity.confirm(registered);
        outbox.restart();
        up.restart();
        asker.reset();
        begin();
      },
      message: (session, message) => {
        receive(session, message);
      },
      removed: (session, said) => {
        removed(session, said);
      },
      writable() {
        up.pump();
      },
    },
  });
  const up = uplink(
    link,
    {
      statuses: () => {
        const worker = parts?.worker;
        if (worker === undefined || (outbox.owesComplete() && !worker.adopted() && !sayRecorded)) return undefined;
        return outbox.take(() => worker.statuses());
      },
      routes: () => relay.report(),
      description,
    },
    clock,
  );
  const asker = resyncAsker(clock, (what) => {
    up.resync(what);
  });

  const routes = routeReports(relay, {
    changed: () => {
      up.routesChanged();
    },
    ask: () => {
      asker.ask('routes');
    },
    log,
  });

  const receive = (session: Session, down: DownMessage): void => {
    const clusterId = identity.current()?.clusterId ?? '';
    switch (down.kind) {
      case 'table':
        asker.answered('routes');
        routes.relayed(relay.table(down.epoch, down.bytes, clusterId));
        return;
      case 'delta':
        routes.relayed(relay.delta(down.base, down.result, down.bytes, clusterId));
        return;
      case 'unknown':
        log.warn('a manager sent something that this version does not know; is it newer?', { manager: session.target });
        return;
      case 'message':
        break;
    }
    const { message } = down;
    switch (message.case) {
      case 'assignments':
        asker.answered('assignments');
        assignments.takeSet(message.value, clusterId);
        return;
      case 'assignmentDelta':
        if (!assignments.takeDelta(message.value, clusterId)) asker.ask('assignments');
        return;
      case 'openStream':
        streams.open(message.value, session.client, identity.current()?.nodeId ?? '');
        return;
      case 'restartMesh':
        parts?.mesh?.restart(message.value.reason);
        return;
      case 'registered':
      case 'nodeRemoved':
        throw new ShoalError('invalid_argument', `${session.target} sent Registered twice, or NodeRemoved after it`);
      case 'nodeFates':
        others.answered(message.value);
        return;
      // Handled where they come in.
      case 'heartbeat':
      case 'routes':
      case 'routeDelta':
        return;
    }
  };
  const applied = (): AppliedEpochs => ({ assignments: assignments.appliedEpoch(), routes: relay.ack() });
  const others = otherNodes({
    runtime,
    // A supervisor that was given starts no processes.
    meshes: () => (options.launchMesh === undefined || options.superviseMesh !== undefined ? [] : runningMeshes()),
    nodeId: () => identity.current()?.nodeId ?? '',
    ask: (nodeIds) => link.send({ message: { case: 'otherNodes', value: { nodeIds } } }),
    refusal: (said) => fateRefusal(said, identity.current()?.clusterId ?? '', applied()),
    clock,
    log,
  });
  const removed = (session: Session, said: NodeRemoved): void => {
    const refusal = removalRefusal(said, identity.current(), applied());
    if (refusal !== undefined) {
      log.error('a manager says that this node was removed; not acted on, its tasks go on', { manager: session.target, reason: refusal });
      return;
    }
    try {
      identity.markRemoved();
    } catch (error) {
      log.error('cannot record that this node was removed; an agent started later has to be told again', { error: messageOf(error) });
    }
    leave();
  };
  /** For good: no manager is dialled any more. */
  const leave = (): void => {
    if (clearing !== undefined || parts === undefined) return;
    const { worker, mesh } = parts;
    link.stop();
    up.stop();
    asker.reset();
    streams.stop();
    others.stop();
    clearing = clearRemovedNode({ dataDir, worker, endMesh: async () => await mesh?.end(REMOVED_MESH_DRAIN_MS), clock, log });
  };
  const mesh = meshStatus(routes.mesh, clock);
  const streams = taskStreams({
    runtime,
    has: (taskId) => parts?.worker.has(taskId) ?? false,
    meshPages: (targets, signal) => mesh.pages(targets, signal),
    clock,
    log,
  });

  /** Several that end, or are adopted, in one moment are told together. */
  const tellEnds = (): void => {
    if (endsDue) return;
    endsDue = true;
    queueMicrotask(() => {
      endsDue = false;
      const statuses = parts?.worker.statuses() ?? [];
      relay.ended(statuses.filter(({ state }) => isFinal(state)).map(({ taskId }) => taskId));
    });
  };

  /** Once this node knows who it is: at the start, or after its very first registration. */
  const begin = (): void => {
    const who = identity.current();
    if (who === undefined || parts !== undefined) return;
    parts = createNodeParts(options, who, {
      disk,
      onStatus(status) {
        if (isFinal(status.state)) tellEnds();
        outbox.put(status);
        up.statusesChanged();
      },
      onForgotten(taskId) {
        outbox.forget(taskId);
      },
      onAdopted() {
        up.statusesChanged();
      },
      mesh: mesh.handlers,
    });
    const { worker, cleaner } = parts;
    if (identity.removed()) {
      worker.start();
      leave();
      return;
    }
    worker.apply(assignments.applied().tasks, false);
    worker.start();
    parts.mesh?.start();
    cleaner?.start();
    clock.after(
      ADOPTION_PATIENCE_MS,
      () => {
        sayRecorded = true;
        up.statusesChanged();
      },
      true,
    );
  };
  const stop = async (): Promise<void> => {
    link.stop();
    up.stop();
    asker.reset();
    engine.stop();
    streams.stop();
    clearing?.stop();
    others.stop();
    parts?.cleaner?.stop();
    parts?.mesh?.stop();
    await parts?.worker.stop();
    if (!(await disk.settled(clock, LAST_WRITES_MS))) log.warn('the disk did not finish the last writes in time');
  };

  return {
    async start() {
      begin();
      // The first description a manager gets should be the true one, where the engine answers quickly.
      await Promise.race([engine.start(), new Promise<void>((resolve) => clock.after(ENGINE_PATIENCE_MS, resolve, true))]);
      if (clearing === undefined) link.start();
    },
    trouble: () => clearing?.trouble() ?? link.trouble() ?? engine.trouble()?.reason,
    taskCount: () => parts?.worker.taskCount() ?? 0,
    registered: () => link.session() !== undefined,
    streamCount: () => streams.count(),
    housekeeping: () => parts?.cleaner?.counts(),
    stop,
    async drainAndStop() {
      const [empty] = await Promise.all([parts?.worker.drain(), parts?.mesh?.end(MESH_DRAIN_MS)]);
      if (empty === false) log.error('some tasks of this node could not be removed in time');
      up.pump();
      await stop();
    },
  };
}

const ENGINE_PATIENCE_MS = 1000;
