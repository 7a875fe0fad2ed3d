// What a task that is on its way out is waited for: meshes that have yet to acknowledge, open connections, its own end.
import { Finding, TaskState } from '../../proto/index.ts';
import { formatDurationMs } from '../../lib/units.ts';
import { ACK_DEADLINE_MS } from '../orchestrator/drain.ts';
import { stopGraceMs } from '../orchestrator/stop.ts';
import type { TaskInfo } from '../orchestrator/task-info.ts';
import { drainPeriodOf } from '../state/index.ts';
import { nodeName } from './node-tenants.ts';
import { type ServiceScene, slotName } from './service-scene.ts';

const MAX_NAMED = 5;

/** Undefined: it is not on its way out, or nothing of it is left to wait for. */
export function leavingFinding(scene: ServiceScene, key: string, info: TaskInfo): Finding | undefined {
  if (info.isEnded || info.nodeCondition === 'down') return undefined;
  const { task } = info;
  const about = { taskId: info.row.id, nodeId: task.nodeId, nodeHostname: nodeName(scene.view, task.nodeId) };
  const who = `${slotName(scene, key)} on ${about.nodeHostname}`;
  if (task.desired >= TaskState.SHUTDOWN) {
    return Finding.create({
      ...about,
      kind: 'stopping',
      reason: `the earlier ${who} was told to stop and has not ended yet`,
      wayOut: `it is killed when its stop grace period of ${formatDurationMs(stopGraceMs(info))} is over`,
    });
  }
  if (!task.drain) return undefined;
  const acks = scene.acks();
  const reportOf = (nodeId: string): { readonly isAcked: boolean; readonly isIdle: boolean } => {
    const reports = (acks.reports.get(nodeId) ?? []).filter(({ revision }) => revision >= info.row.modRevision);
    return { isAcked: reports.length > 0, isIdle: reports.some(({ idle }) => idle.has(info.row.id)) };
  };
  const silent = acks.awaited.filter(({ id }) => !reportOf(id).isAcked).map(({ id }) => nodeName(scene.view, id));
  if (silent.length > 0) {
    return Finding.create({
      ...about,
      kind: 'drain-acks',
      reason: `the earlier ${who} drains: the mesh of ${named(silent)} has yet to acknowledge that it sends nothing new to it`,
      wayOut: `a mesh that does not within ${formatDurationMs(ACK_DEADLINE_MS)} is no longer waited for`,
    });
  }
  const busy = acks.awaited.filter(({ id }) => !reportOf(id).isIdle).map(({ id }) => nodeName(scene.view, id));
  const periodMs = drainPeriodOf(scene.spec);
  return Finding.create({
    ...about,
    kind: 'drain-connections',
    reason: `the earlier ${who} drains: it still has connections through ${busy.length === 0 ? 'the mesh' : named(busy)}`,
    wayOut: `they may take the drain period of ${formatDurationMs(periodMs)}; \`shoal service update --drain-period DURATION ${scene.name}\` changes it`,
  });
}

function named(hostnames: readonly string[]): string {
  const shown = [...hostnames].sort().slice(0, MAX_NAMED).join(', ');
  return hostnames.length > MAX_NAMED ? `${shown} and ${String(hostnames.length - MAX_NAMED)} more` : shown;
}
