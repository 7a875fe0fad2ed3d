// I5: no connection goes to a task more than a second after its node knows of its end, while that node has a session; with or without one its own mesh stops sending
// to it at once (the others find nobody there: no container of another service gets its address meanwhile); none ever reaches a container of another service; and no task is told to
// stop while a mesh that counts still sends new connections to it.
import { NodeState, type RouteTarget, type Task, TaskState } from '../../../proto/index.ts';
import type { SimProcess } from '../core/process.ts';
import type { Container } from '../parts/engine.ts';
import { short } from '../core/trace.ts';
import { isIngress, type NodeTruth, sendersTo, type Truth } from '../truth/truth.ts';

const KNOWN_MS = 1000;
/** I5 holds for nodes that have a session. A host that was just hit: its agent finds a manager, its mesh starts, its store answers late. */
const CALM_MS = 5000;
/** From the engine over the agent to the mesh of the same host. */
const AT_ONCE_MS = 100;

export function endsAreRoutedAround(truth: Truth): void {
  /** The way that the word of an end takes: from its node over that one's manager and the store. */
  const wayOf = (nodeId: string, host: string): readonly string[] => ['store', host, truth.managerHostOf(nodeId) ?? host];
  const hasSession = (host: string): boolean => !truth.isAway(truth.nodeOf(host));
  truth.listen({
    ended(container) {
      const { host, nodeId } = container;
      if (!isIngress(truth.specOf(container)) || !hasSession(host) || !truth.isCalmFor(CALM_MS, wayOf(nodeId, host))) return;
      truth.later(KNOWN_MS, () => {
        if (!hasSession(host) || !truth.isCalmFor(CALM_MS, wayOf(nodeId, host))) return;
        const late = sendersTo(truth, container).filter((name) => {
          const id = truth.nodeIdOf(name);
          return id !== undefined && hasSession(name) && truth.isCalmFor(CALM_MS, wayOf(id, name));
        });
        if (late.length > 0)
          truth.fail('I5', `${truth.describe(container)} ended a second ago, and ${late.join(', ')} send connections to it`);
      });
    },
  });
}

/** No manager is needed for that. Judged where agent, mesh and engine have been at work for a while. */
export function ownMeshStopsAtOnce(truth: Truth): void {
  /** Since when each host's have been so. */
  const atWork = new Map<string, { readonly agent: SimProcess; readonly mesh: SimProcess; readonly sinceMs: number }>();
  const look = ({ node }: NodeTruth): number => {
    const { engine, agentProcess: agent, mesh } = node;
    const isFit = !engine.hangs && engine.failing === 0 && engine.slowness === 1;
    if (agent === undefined || mesh === undefined || !isFit || ![agent, mesh.process].every((one) => isAwake(truth, one))) {
      atWork.delete(node.name);
      return truth.nowMs;
    }
    const before = atWork.get(node.name);
    if (before?.agent === agent && before.mesh === mesh.process) return before.sinceMs;
    atWork.set(node.name, { agent, mesh: mesh.process, sinceMs: truth.nowMs });
    return truth.nowMs;
  };
  truth.listen({
    tick() {
      for (const node of truth.nodes.values()) look(node);
    },
    ended(container) {
      const known = truth.nodeOf(container.host);
      if (truth.nowMs - look(known) < CALM_MS) return;
      truth.later(AT_ONCE_MS, () => {
        if (truth.nowMs - look(known) < CALM_MS || !sendersTo(truth, container).includes(container.host)) return;
        truth.fail('I5', `${truth.describe(container)} has ended, and its own mesh sends connections to it`);
      });
    },
  });
}

function isAwake({ nowMs }: Truth, { alive, stalledUntilMs }: SimProcess): boolean {
  return alive && nowMs - stalledUntilMs >= CALM_MS;
}

export function connectionsArriveAtTheirService(truth: Truth): void {
  truth.listen({
    connected(node, port, serviceId, target) {
      const reached = whoAnswers(truth, node, target);
      if (reached === undefined || reached.serviceId === serviceId) return;
      const text = `a connection to port ${port} of service ${short(serviceId)} through ${node.node.name} reached ${truth.describe(reached)}`;
      truth.fail('I5', text);
    },
  });
}

export function stopsComeAfterDrains(truth: Truth): void {
  const { mirror } = truth;
  /** Since when a node's mesh counts, by node id. */
  const counts = new Map<string, number>();
  /** Since when a task drains, by id. */
  const drains = new Map<string, number>();
  const judgeNode = (nodeId: string): void => {
    const status = mirror.get('nodeStatus', nodeId)?.value;
    if (status?.state === NodeState.NODE_READY && !status.meshUnready && mirror.get('nodes', nodeId) !== undefined) {
      if (!counts.has(nodeId)) counts.set(nodeId, truth.nowMs);
    } else counts.delete(nodeId);
  };
  const hasEnded = (taskId: string): boolean => (mirror.get('taskStatus', taskId)?.value.state ?? TaskState.NEW) >= TaskState.COMPLETE;
  /** Its node ends it by itself, for a probe or a health check: it has said that nothing answers any more, and the order comes after that. */
  const isGivenUp = ({ taskId, wasSick, stopping }: Container): boolean =>
    stopping || (wasSick && mirror.get('taskStatus', taskId)?.value.endpoints.some(({ ready }) => ready) !== true);
  /** The leader orders its end: no mesh that counted when its drain began may still send to it. */
  const judgeOrder = (task: Task): void => {
    const host = truth.byNodeId(task.nodeId)?.node;
    const container = host?.engine.containers.get(task.id);
    const sinceMs = drains.get(task.id) ?? truth.nowMs;
    // Nobody waits for those of a node that is down, of a service that is gone, or that have failed by their node's word while they are still being
    // stopped (health, liveness): the tables let go of them at once.
    const ownMs = counts.get(task.nodeId);
    if (container?.state !== 'running' || hasEnded(task.id) || isGivenUp(container) || ownMs === undefined || ownMs > sinceMs) return;
    if (mirror.get('services', task.serviceId) === undefined) return;
    const senders = sendersTo(truth, container).filter((name) => {
      const nodeId = truth.nodeIdOf(name);
      const countsMs = nodeId === undefined ? undefined : counts.get(nodeId);
      return countsMs !== undefined && countsMs < sinceMs;
    });
    if (senders.length > 0)
      truth.fail('I5', `${truth.describe(container)} is to be stopped while the mesh of ${senders.join(', ')} sends connections to it`);
  };
  mirror.onChange((change) => {
    if (change.table === 'nodeStatus' || change.table === 'nodes') judgeNode(change.id);
    if (change.table !== 'tasks') return;
    const [before, after] = [change.before?.value, change.after?.value];
    if (after?.drain !== true) drains.delete(change.id);
    else if (before?.drain !== true) drains.set(change.id, truth.nowMs);
    if (before?.desired === TaskState.RUNNING && after !== undefined && after.desired >= TaskState.SHUTDOWN) judgeOrder(after);
  });
}

function whoAnswers(truth: Truth, from: NodeTruth, target: RouteTarget): Container | undefined {
  const local = from.node.address === target.nodeAddress;
  for (const { node } of truth.nodes.values()) {
    if (node.address !== target.nodeAddress || !node.power.on) continue;
    for (const container of node.engine.containers.values()) {
      if (container.state !== 'running') continue;
      if (local ? container.address === target.containerAddress : container.ports.some((port) => port.nodePort === target.nodePort))
        return container;
    }
  }
  return undefined;
}
