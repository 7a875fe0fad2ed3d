// Why the task that fills a slot is not where it should be, and what would change that.
import { Finding, HoldReason, NodeState, RestartCondition, type RestartPolicy, TaskState } from '../../proto/index.ts';
import { formatDurationMs } from '../../lib/units.ts';
import { placementProblem } from '../constraint/index.ts';
import { holdMs } from '../orchestrator/move-damping.ts';
import { decideRestart } from '../orchestrator/restart.ts';
import type { SlotTasks } from '../orchestrator/slot.ts';
import { endReason } from '../orchestrator/task-events.ts';
import { isDrained, isIngress, type TaskInfo } from '../orchestrator/task-info.ts';
import { leavingFinding } from './drain-finding.ts';
import { nodeName } from './node-tenants.ts';
import { servesOn } from './served-slots.ts';
import { isOutdated, type ServiceScene } from './service-scene.ts';
import { aboutText } from './times.ts';

/** Its text is the scheduler's; which nodes were considered is for the caller to add. */
export const NO_NODE = 'no-node';
/** A task of an earlier spec that runs: the update's business, not its own. */
export const OUTDATED = 'outdated';

/** Undefined: it is where it should be. */
export function taskFinding(scene: ServiceScene, { key, holder, others }: SlotTasks): Finding | undefined {
  if (holder === undefined) return undefined;
  const found = findingOf(scene, key, holder, others);
  if (found === undefined) return undefined;
  const { task, status } = holder;
  return Finding.create({
    taskId: holder.row.id,
    nodeId: holder.isWaiting && !scene.isGlobal ? '' : task.nodeId,
    nodeHostname: holder.isWaiting && !scene.isGlobal ? '' : nodeName(scene.view, task.nodeId),
    sinceUnixMs: status?.sinceUnixMs ?? task.verdict?.sinceUnixMs ?? task.createdUnixMs,
    ...found,
  });
}

type Found = Partial<Finding> & Pick<Finding, 'kind' | 'reason'>;

function findingOf(scene: ServiceScene, key: string, holder: TaskInfo, others: readonly TaskInfo[]): Found | undefined {
  const { task } = holder;
  const after = lastFailure(others);
  if (holder.isFinished)
    return task.desired <= TaskState.COMPLETE
      ? endedFinding(scene, holder)
      : { kind: 'replacing', reason: 'it has ended and is about to be replaced' };
  if (holder.isWaiting) return waitingFinding(scene, holder, others, after);
  const node = nodeName(scene.view, task.nodeId);
  switch (holder.nodeCondition) {
    case 'removed':
      return { kind: 'node-removed', reason: 'its node was removed; it is about to be replaced' };
    case 'down':
      return {
        kind: 'node-down',
        reason: `its node ${node} is down: ${holder.nodeStatus?.message ?? ''}`,
        wayOut: scene.isGlobal ? `bring ${node} back, or remove it with \`shoal node rm ${node}\`` : 'it is about to be replaced elsewhere',
        sinceUnixMs: holder.nodeStatus?.sinceUnixMs ?? 0,
      };
    case 'away':
      if (holder.nodeStatus?.state === NodeState.NODE_DOWN) {
        return {
          kind: 'node-held',
          reason: `its node ${node} is down, and ${heldReason(scene, task.nodeId)}`,
          wayOut: `\`shoal node evict ${node}\` has it replaced at once`,
          sinceUnixMs: holder.nodeStatus.sinceUnixMs,
        };
      }
      return {
        kind: 'node-away',
        reason: `its node ${node} does not answer at present; the task may still run`,
        wayOut: 'when the node is down it is replaced elsewhere',
        sinceUnixMs: holder.nodeStatus?.sinceUnixMs ?? 0,
      };
    case 'none':
    case 'ready':
  }
  if (task.preempted !== '') return { kind: 'preempted', reason: task.preempted, wayOut: 'it is replaced where there is room' };
  if (task.desired === TaskState.READY) return heldFinding(scene, key, holder, others, after);
  if (isOutdated(scene, holder) && holder.isUp) return { kind: OUTDATED, reason: 'it runs the earlier version until it is updated' };
  return stateFinding(scene, holder, node, after) ?? misplacedFinding(scene, holder, node);
}

function heldReason({ view }: ServiceScene, nodeId: string): string {
  const held = view.get('nodeWatch', '')?.value.held.find((node) => node.nodeId === nodeId);
  return held?.reason === HoldReason.HOLD_MASS_LOSS
    ? 'so many nodes fell silent together that the network is the likelier cause: its tasks are not replaced yet'
    : 'the eviction delay of the cluster runs: its tasks are not replaced yet';
}

function waitingFinding(scene: ServiceScene, { task }: TaskInfo, others: readonly TaskInfo[], after: LastFailure | undefined): Found {
  const message = task.verdict?.message ?? '';
  if (message === '') return { kind: 'new', reason: 'it was made just now and is about to be placed', wayOut: leaderNeeded(scene) };
  const sinceUnixMs = task.verdict?.sinceUnixMs ?? 0;
  if (task.held) {
    const leftMs = Math.max(0, task.createdUnixMs + holdMs(task.moves) - scene.wallMs);
    const wayOut = `see why it is moved so often: \`shoal events --filter service=${scene.name}\``;
    return { kind: 'move-delay', reason: `${message}, about ${aboutText(leftMs)} left`, wayOut, sinceUnixMs };
  }
  const preempted = others.find(({ row }) => row.id === task.replaces)?.task.preempted ?? '';
  if (preempted !== '') return { kind: NO_NODE, reason: `${message}; the one before was ${preempted}`, sinceUnixMs };
  const reason = others.some(servesOn) ? `${message}; until one takes it the task before it runs on` : message;
  return { kind: NO_NODE, reason: withFailure(reason, after), sinceUnixMs };
}

/** Ended, and its restart policy has not replaced it. */
function endedFinding(scene: ServiceScene, holder: TaskInfo): Found {
  const policy = holder.spec?.task?.restart ?? scene.spec.task?.restart;
  const { attempt: attempts = 0, inWindow = 0 } = holder.task.restart ?? {};
  const decision = decideRestart(policy, holder, { upMs: undefined, attempts, inWindow, gaveUp: holder.task.gaveUp });
  const end = `it ${endReason(holder)}`;
  const again = `\`shoal service update --force ${scene.name}\` starts it anew`;
  switch (decision.kind) {
    case 'never':
      return { kind: 'gave-up', reason: `${end}; ${gaveUpReason(decision.reason, policy)}`, wayOut: again };
    case 'restart': {
      // It failed while it was prepared, before its turn: that is waited for.
      const delay = holder.task.desired === TaskState.READY ? delayText(scene, holder) : undefined;
      if (delay !== undefined)
        return { kind: 'restart-delay', reason: `${end}; the next one waits out ${delay}`, wayOut: failureWayOut(scene, holder) };
      return {
        kind: 'replacing',
        reason: `${end}; it is about to be replaced`,
        wayOut: leaderNeeded(scene) || failureWayOut(scene, holder),
      };
    }
  }
}

function gaveUpReason(reason: 'condition' | 'attempts' | 'window', policy: RestartPolicy | undefined): string {
  const { maxAttempts = 0, windowMs = 0 } = policy ?? {};
  const used = (within: string): string =>
    maxAttempts === 1 ? `its one restart${within} is used up` : `its ${String(maxAttempts)} restarts${within} are used up`;
  switch (reason) {
    case 'condition':
      return `its restart policy does not replace it (--restart-condition ${policy?.condition === RestartCondition.NONE ? 'none' : 'on-failure'})`;
    case 'attempts':
      return `${used('')} (--restart-max-attempts)`;
    case 'window':
      return `${used(` within ${formatDurationMs(windowMs)}`)} (--restart-max-attempts, --restart-window)`;
  }
}

function heldFinding(
  scene: ServiceScene,
  key: string,
  holder: TaskInfo,
  others: readonly TaskInfo[],
  after: LastFailure | undefined,
): Found {
  const error = holder.status?.error ?? '';
  if (error !== '') return { kind: 'prepare-failing', reason: withFailure(error, undefined), wayOut: failureWayOut(scene, holder) };
  const delay = delayText(scene, holder);
  if (delay !== undefined) {
    return {
      kind: 'restart-delay',
      reason: withFailure(`restart ${String(holder.task.restart?.attempt ?? 0)}: it waits out ${delay}`, after),
      wayOut: after === undefined ? '' : failureWayOut(scene, after.info),
      sinceUnixMs: holder.task.createdUnixMs,
    };
  }
  for (const other of others) {
    const leaving = leavingFinding(scene, key, other);
    if (leaving !== undefined) return { kind: 'held-back', reason: `it is held back: ${leaving.reason}`, wayOut: leaving.wayOut };
  }
  return { kind: 'about-to-start', reason: withFailure('it is about to be started', after), wayOut: leaderNeeded(scene) };
}

/** "its restart delay of 10s, about 4s left"; undefined: it is over. */
function delayText({ leaderSince, wallMs }: ServiceScene, { task, row }: TaskInfo): string | undefined {
  const delayMs = task.restart?.delayMs ?? 0;
  const leftMs = task.createdUnixMs + delayMs - wallMs;
  // A leader that took over since then lets the delay begin anew; when that was is not in the store.
  const isAnew = leaderSince !== undefined && leaderSince > row.createRevision;
  if (delayMs === 0 || (leftMs <= 0 && !isAnew)) return undefined;
  return `its restart delay of ${formatDurationMs(delayMs)}, ${isAnew ? 'begun anew by a new leader' : `about ${aboutText(leftMs)} left`}`;
}

/** By what its node says. */
function stateFinding(scene: ServiceScene, holder: TaskInfo, node: string, after: LastFailure | undefined): Found | undefined {
  const { status } = holder;
  const state = status?.state ?? TaskState.ASSIGNED;
  const error = status?.error ?? '';
  if (state < TaskState.ACCEPTED) {
    return {
      kind: 'not-accepted',
      reason: withFailure(`the agent of ${node} has not taken it yet`, after),
      wayOut: `if that lasts, look at \`shoal node inspect ${node}\` and the agent's log there`,
    };
  }
  if (state < TaskState.READY && error !== '')
    return { kind: 'pull-failing', reason: `it cannot be prepared on ${node}: ${error}`, wayOut: failureWayOut(scene, holder) };
  if (state < TaskState.READY) {
    return {
      kind: 'preparing',
      reason: withFailure(`${node} pulls its image and creates its container`, after),
      wayOut: 'large images take their time',
    };
  }
  if (state < TaskState.RUNNING) {
    const check = status?.message === undefined || status.message === '' ? 'it is being started' : status.message;
    return {
      kind: 'starting',
      reason: withFailure(`${check} on ${node}${error === '' ? '' : `: ${error}`}`, after),
      wayOut: `\`shoal service logs ${scene.name}\` shows what it prints`,
    };
  }
  return state === TaskState.RUNNING ? notReadyFinding(scene, holder, node) : undefined;
}

function notReadyFinding(scene: ServiceScene, holder: TaskInfo, node: string): Found | undefined {
  const { status, task } = holder;
  if (task.drain) return { kind: 'draining', reason: `it is being drained on ${node}`, wayOut: '' };
  const { readiness } = status ?? {};
  if (readiness?.ready === false) {
    return {
      kind: 'not-ready',
      reason: `it runs on ${node}, but gets no connections: its readiness probe does not pass: ${readiness.reason || 'no attempt has passed yet'}`,
      wayOut: `\`shoal service logs ${scene.name}\` shows what it prints; \`shoal service update --readiness-probe PROBE ${scene.name}\` sets another probe, --no-readiness-probe none`,
      sinceUnixMs: readiness.sinceUnixMs,
    };
  }
  const ports = (holder.spec?.ports ?? []).filter(isIngress).map(({ targetPort }) => targetPort);
  const ready = new Set(status?.endpoints.filter((endpoint) => endpoint.ready).map((endpoint) => endpoint.targetPort));
  const missing = [...new Set(ports)].filter((port) => !ready.has(port)).map(String);
  if (missing.length === 0) return undefined;
  const detail = status?.error || status?.message || '';
  const isPlain = detail === '' || /^running$/i.test(detail);
  return {
    kind: 'not-ready',
    reason: `it runs on ${node}, but gets no connections: port ${missing.join(', ')} is not ready${isPlain ? '' : ` (${detail})`}`,
    wayOut: `the program must listen on port ${missing.join(', ')} of all addresses (0.0.0.0), or publish the port that it listens on; \`shoal service logs ${scene.name}\``,
  };
}

/** It runs where it may not stay. */
function misplacedFinding(scene: ServiceScene, { node, nodeStatus }: TaskInfo, hostname: string): Found | undefined {
  if (node === undefined) return undefined;
  const within = `it is moved within the limits of updates, one after the other`;
  if (isDrained(node) && !scene.isGlobal)
    return { kind: 'node-drained', reason: `it runs on ${hostname}, which is drained`, wayOut: within };
  const problem = placementProblem(scene.spec.task?.placement, node, nodeStatus);
  return problem === undefined
    ? undefined
    : { kind: 'misfit', reason: `it runs on ${hostname}, where it no longer belongs: ${problem}`, wayOut: within };
}

interface LastFailure {
  readonly info: TaskInfo;
}

function lastFailure(others: readonly TaskInfo[]): LastFailure | undefined {
  const info = others.findLast(({ status }) => status?.state === TaskState.FAILED || status?.state === TaskState.REJECTED);
  // The last one to have ended: an earlier failure is history.
  const isLast = info !== undefined && others.findLast(({ isFinished }) => isFinished) === info;
  return isLast ? { info } : undefined;
}

function withFailure(text: string, after: LastFailure | undefined): string {
  return after === undefined ? text : `${text}; the last one ${endReason(after.info)}`;
}

const IMAGE_TROUBLE = /\b(image|pull|manifest|registry|repository|unauthorized|denied)\b/i;

function failureWayOut({ name }: ServiceScene, { status, spec }: TaskInfo): string {
  const words = `${status?.error ?? ''} ${status?.message ?? ''}`;
  const hasBegun = status !== undefined && status.state === TaskState.FAILED;
  if (!hasBegun && IMAGE_TROUBLE.test(words)) {
    const image = spec?.task?.container?.image ?? 'IMAGE';
    return `check that ${image} exists in the registry; \`shoal service update --image IMAGE ${name}\` names another, --with-registry-auth passes your login on`;
  }
  return hasBegun ? `\`shoal service logs ${name}\` shows what it printed` : `correct it with \`shoal service update ... ${name}\``;
}

function leaderNeeded({ leaderSince }: ServiceScene): string {
  return leaderSince === undefined ? 'a manager has to lead for that: look at `shoal version`' : '';
}
