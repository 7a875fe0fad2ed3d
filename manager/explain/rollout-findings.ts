// What holds a service as a whole: nobody leads, an update is paused, or what an update that goes on waits for.
import { Finding, TaskState, UpdateState } from '../../proto/index.ts';
import { formatDurationMs } from '../../lib/units.ts';
import type { SlotTasks } from '../orchestrator/slot.ts';
import { isPaused, updateConfigOf } from '../state/index.ts';
import { countText } from './amounts.ts';
import { leavingFinding } from './drain-finding.ts';
import { isClean, isOutdated, type ServiceScene, slotName } from './service-scene.ts';
import { taskFinding } from './task-finding.ts';
import { aboutText } from './times.ts';

/** An update of hundreds at once has as many reasons; more help nobody. */
const MAX_FINDINGS = 20;

/** Its clients wait though nothing may be wrong with its tasks. */
export function pauseFindings({ name, service: { value: service }, status }: ServiceScene): readonly Finding[] {
  const { pause } = service;
  if (pause === undefined || !isPaused(service, status)) return [];
  const reason = `the service is paused: new clients wait, ${formatDurationMs(pause.maxMs)} at most`;
  return [finding('service-paused', reason, `\`shoal service resume ${name}\``, pause.startedUnixMs)];
}

export function rolloutFindings(scene: ServiceScene): readonly Finding[] {
  const { leaderSince, status, service } = scene;
  if (leaderSince === undefined) {
    return [
      finding(
        'no-leader',
        'no manager leads at present, so nothing is decided',
        'start a manager, or see what keeps those there are from their store',
      ),
    ];
  }
  const update = status?.update;
  switch (update?.state) {
    case UpdateState.UPDATE_PAUSED:
    case UpdateState.ROLLBACK_PAUSED: {
      const what = update.state === UpdateState.UPDATE_PAUSED ? 'the update' : 'the rollback';
      return [
        finding(
          'paused',
          `${what} is paused and nothing moves: ${update.message}`,
          pausedWayOut(scene, update.state),
          update.completedUnixMs || update.startedUnixMs,
        ),
      ];
    }
    case UpdateState.CANARY:
    case UpdateState.CANARY_PAUSED:
      return canaryFindings(scene);
    case UpdateState.UPDATING:
    case UpdateState.ROLLBACK_STARTED:
      return updateFindings(scene).slice(0, MAX_FINDINGS);
    default:
      return status?.activeSpecNumber === service.value.specNumber || update?.state === UpdateState.ROLLBACK_COMPLETED
        ? []
        : [finding('new-spec', 'the leader has not looked at the newest version yet', '')];
  }
}

/** It waits, and so does the service's way to its newest spec. */
function canaryFindings({ name, service, status, wallMs, canary }: ServiceScene): readonly Finding[] {
  const { update } = status ?? {};
  const ends = `\`shoal service update --promote ${name}\` or \`shoal service update --abort ${name}\``;
  if (canary === undefined) return [finding('new-spec', 'the leader has not acted yet on the end of the canary', '')];
  const share = `${canary.permille / 10}%`;
  const since = update?.startedUnixMs ?? 0;
  if (canary.isPaused) {
    const way = `\`shoal service update --canary ${share} ${name}\` tries on; ${ends}`;
    return [finding('canary-paused', `the canary (spec ${canary.specNumber}) gets nothing new: ${update?.message ?? ''}`, way, since)];
  }
  const waits =
    canary.promoteAfterMs === 0
      ? 'it waits until somebody says what becomes of it'
      : `it is promoted when all of its tasks have been up for ${formatDurationMs(canary.promoteAfterMs)} without a break`;
  return [
    finding(
      'canary',
      `spec ${service.value.specNumber} is a canary with ${share} of new connections: ${waits}`,
      ends,
      Math.min(since, wallMs),
    ),
  ];
}

function pausedWayOut({ name }: ServiceScene, state: UpdateState): string {
  const again = `correct the service with \`shoal service update ... ${name}\`, try the same again with \`shoal service update --force ${name}\``;
  return state === UpdateState.UPDATE_PAUSED
    ? `${again}, or go back with \`shoal service rollback ${name}\``
    : `${again}, or go to another spec with \`shoal service rollback --to N ${name}\` (\`shoal service history ${name}\` lists them)`;
}

function updateFindings(scene: ServiceScene): readonly Finding[] {
  const config = updateConfigOf(scene.spec);
  const since = scene.status?.update?.startedUnixMs ?? 0;
  const found: Finding[] = [];
  let outdated = 0;
  for (const slot of scene.filled) {
    const { holder } = slot;
    if (holder !== undefined && isOutdated(scene, holder)) outdated++;
    found.push(...slotFindings(scene, slot));
  }
  if (outdated > 0) {
    const atOnce = config.parallelism === 0 ? 'all at once' : `${String(config.parallelism)} at a time`;
    found.push(
      finding(
        'turn',
        `${countText(outdated, 'task')} of ${String(scene.filled.length)} have yet to be replaced, ${atOnce} (--update-parallelism)`,
        '',
        since,
      ),
    );
  }
  const monitoring = monitorLeft(scene, config.monitorMs);
  if (monitoring !== undefined) {
    const { leftMs, key } = monitoring;
    found.push(
      finding(
        'monitor',
        `${slotName(scene, key)} has to stay up for the monitor period of ${formatDurationMs(config.monitorMs)}, about ${aboutText(leftMs)} left (--update-monitor)`,
        '',
      ),
    );
  }
  if (config.delayMs > 0 && outdated > 0) {
    found.push(
      finding('delay', `the next one is replaced ${formatDurationMs(config.delayMs)} after the last one came up (--update-delay)`, ''),
    );
  }
  return found;
}

/** The new task of a slot that is not up; what it replaces that is not gone. */
function slotFindings(scene: ServiceScene, slot: SlotTasks): readonly Finding[] {
  const { holder, others, key } = slot;
  if (holder === undefined || (isOutdated(scene, holder) && holder.isUp)) return [];
  const own = isClean(scene, holder) && !holder.isUp ? taskFinding(scene, slot) : undefined;
  const leaving = others.map((other) => leavingFinding(scene, key, other)).filter((each) => each !== undefined);
  // A task that is held back until another has left has that reason already.
  if (own?.kind === 'held-back') return [{ ...own, kind: 'task', reason: `${slotName(scene, key)}: ${own.reason}` }];
  return [...(own === undefined ? [] : [{ ...own, kind: 'task', reason: `${slotName(scene, key)}: ${own.reason}` }]), ...leaving];
}

/** Of the new task that has longest to go. */
function monitorLeft(scene: ServiceScene, monitorMs: number): { readonly key: string; readonly leftMs: number } | undefined {
  let most: { readonly key: string; readonly leftMs: number } | undefined;
  for (const { key, holder } of scene.filled) {
    if (holder === undefined || holder.task.specNumber !== scene.specNumber || !holder.isUp || holder.status?.state !== TaskState.RUNNING)
      continue;
    const leftMs = holder.status.sinceUnixMs + monitorMs - scene.wallMs;
    if (leftMs > 0 && leftMs > (most?.leftMs ?? 0)) most = { key, leftMs: Math.min(leftMs, monitorMs) };
  }
  return most;
}

function finding(kind: string, reason: string, wayOut: string, sinceUnixMs = 0): Finding {
  return Finding.create({ kind, reason, wayOut, sinceUnixMs });
}
