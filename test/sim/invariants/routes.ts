// I5: no connection goes to a task more than a second after its node knows of its end; none ever reaches a container of another service; and no task is told to
// stop while a mesh that counts still sends new connections to it.
import { NodeState, type RouteTarget, TargetState } from '../../../proto/index.ts';
import type { Container } from '../parts/engine.ts';
import { short } from '../core/trace.ts';
import { isIngress, type NodeTruth, type Truth } from '../truth/truth.ts';

const KNOWN_MS = 1000;
/** Before the end: what stands may then be taken to work. */
const CALM_MS = 15_000;
/** A mesh that has counted for so long has been waited for. */
const COUNTS_MS = 15_000;

export function endsAreRoutedAround(truth: Truth): void {
  truth.listen({
    ended(container) {
      if (!truth.isCalmFor(CALM_MS) || !isIngress(truth.specOf(container))) return;
      truth.later(KNOWN_MS, () => {
        if (!truth.isCalmFor(CALM_MS)) return;
        const meshes = sendersTo(truth, container);
        if (meshes.length > 0)
          truth.fail('I5', `${truth.describe(container)} ended a second ago, and ${meshes.join(', ')} send connections to it`);
      });
    },
  });
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
  /** Since when a node's mesh counts, by node id. */
  const counts = new Map<string, number>();
  const judge = (nodeId: string): void => {
    const status = truth.mirror.get('nodeStatus', nodeId)?.value;
    if (status?.state === NodeState.NODE_READY && !status.meshUnready && truth.mirror.get('nodes', nodeId) !== undefined) {
      if (!counts.has(nodeId)) counts.set(nodeId, truth.nowMs);
    } else counts.delete(nodeId);
  };
  truth.mirror.onChange((change) => {
    if (change.table === 'nodeStatus' || change.table === 'nodes') judge(change.id);
  });
  truth.listen({
    stopAsked(container) {
      const task = truth.mirror.get('tasks', container.taskId)?.value;
      if (task === undefined || isSick(container) || truth.mirror.get('services', container.serviceId) === undefined) return;
      // A node that was removed ends what it ran at once.
      if (truth.mirror.get('nodes', container.nodeId) === undefined) return;
      // Nobody waits for those of a node that was down: the tables let go of them at once.
      const ownMs = counts.get(container.nodeId);
      if (ownMs === undefined || truth.nowMs - ownMs < COUNTS_MS) return;
      const senders = sendersTo(truth, container).filter((name) => {
        const nodeId = [...truth.mirror.all('nodeStatus')].find((row) => row.value.description?.hostname === name)?.id;
        const sinceMs = nodeId === undefined ? undefined : counts.get(nodeId);
        return sinceMs !== undefined && truth.nowMs - sinceMs > COUNTS_MS;
      });
      if (senders.length > 0)
        truth.fail('I5', `${truth.describe(container)} is told to stop while the mesh of ${senders.join(', ')} sends connections to it`);
    },
  });
}

/** Its agent may end it by itself. */
export function isSick({ health, probes }: Container): boolean {
  return health === 'unhealthy' || probes === 'failed';
}

/** Hosts whose mesh would give a new connection to it. */
function sendersTo(truth: Truth, container: Container): string[] {
  const names: string[] = [];
  for (const { node } of truth.nodes.values()) {
    if (node.mesh?.process.alive !== true) continue;
    for (const route of node.mesh.table()?.ports.values() ?? []) {
      if (!route.targets.some((target) => target.taskId === container.taskId && target.state === TargetState.TARGET_ACTIVE)) continue;
      names.push(node.name);
      break;
    }
  }
  return names;
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
