// What a service's progress says, in lines; the two views show them each in its own way.
import {
  enumName,
  type JobProgress,
  RebalanceState,
  type ServiceProgress,
  type SlotProgress,
  TaskState,
  UpdateState,
} from '../../../proto/index.ts';
import { canaryText } from '../../format/canary.ts';

export interface ProgressLine {
  /** The same for the same thing over time: a view can tell what changed. */
  readonly key: string;
  readonly text: string;
  /** What `text` gives as reasons, one after the other: a view that says each only once leaves those out that it has said. */
  readonly reasons: readonly string[];
  /** Counts down: where lines stay, the first is enough. */
  readonly isCountdown?: boolean;
}

/** Reasons shown where there are too many slots for a line each. */
const MAX_REASONS = 5;
/** As the manager puts them together: how it goes with the task; why the one before failed. */
const BETWEEN_REASONS = '; ';

export function progressLines(progress: ServiceProgress): readonly ProgressLine[] {
  const total = progress.job?.total ?? progress.desired;
  const slots = progress.slots.length > 0 ? progress.slots.map((slot) => slotLine(slot, total)) : reasons(progress.waiting);
  if (progress.job !== undefined) return [...jobLines(progress, progress.job), ...slots];
  return [
    { key: 'overall', text: overallText(progress), reasons: [] },
    ...rebalanceLines(progress),
    ...slots,
    ...(progress.verifyLeftMs > 0 ? [verifyLine(progress.verifyLeftMs)] : []),
  ];
}

/** Docker's words, and what else runs. */
function overallText(progress: ServiceProgress): string {
  const { running, desired, earlier } = progress;
  const more = earlier === 0 ? '' : `, ${earlier} more by the earlier version`;
  return `overall progress: ${running} out of ${desired} tasks${more}${updateText(progress)}`;
}

function verifyLine(leftMs: number): ProgressLine {
  return { key: 'verify', text: `verifying that they stay up: ${String(Math.ceil(leftMs / 1000))} s left`, reasons: [], isCountdown: true };
}

/** Docker's words. */
function jobLines({ running, desired }: ServiceProgress, { iteration, completed, total }: JobProgress): readonly ProgressLine[] {
  if (iteration === undefined) return [];
  return [
    { key: 'overall', text: `job progress: ${completed} out of ${total} complete`, reasons: [] },
    { key: 'active', text: `active tasks: ${running} out of ${desired} tasks`, reasons: [] },
  ];
}

function rebalanceLines({ rebalance }: ServiceProgress): readonly ProgressLine[] {
  if (rebalance?.state !== RebalanceState.REBALANCING) return [];
  return [{ key: 'rebalance', text: `rebalancing: ${rebalance.moved} moved, ${rebalance.message}`, reasons: [] }];
}

function updateText({ update, canary }: ServiceProgress): string {
  if (update === undefined) return '';
  switch (update.state) {
    case UpdateState.UPDATE_PAUSED:
    case UpdateState.ROLLBACK_PAUSED:
      return ` (paused: ${update.message})`;
    case UpdateState.ROLLBACK_STARTED:
      return ` (${update.message})`;
    case UpdateState.CANARY:
    case UpdateState.CANARY_PAUSED:
      return canary === undefined ? '' : ` (${canaryText(canary)})`;
    default:
      return '';
  }
}

/** "3/5" for a slot by number, the hostname for a global service. After a scale down the numbers that are left may be higher. */
function slotName({ slot, surplus }: SlotProgress, total: number): string {
  if (!/^\d+$/.test(slot)) return slot;
  return surplus || Number(slot) > total ? `slot ${slot}` : `${slot}/${total}`;
}

function slotLine(slot: SlotProgress, total: number): ProgressLine {
  const why = reasonOf(slot);
  return {
    key: `slot ${slot.slot}`,
    text: withReason(`${slotName(slot, total)}: ${stateText(slot)}`, why),
    reasons: why === '' ? [] : why.split(BETWEEN_REASONS),
  };
}

function stateText({ state, nodeHostname }: SlotProgress): string {
  const name = enumName(TaskState, state).toLowerCase();
  return nodeHostname === '' ? name : `${name} on ${nodeHostname}`;
}

/** Messages that say no more than the state does are left out. */
function reasonOf({ state, message }: SlotProgress): string {
  const isPlain = message.toLowerCase() === enumName(TaskState, state).toLowerCase();
  return isPlain ? '' : oneLine(message);
}

function withReason(text: string, reason: string): string {
  return reason === '' ? text : `${text}: ${reason}`;
}

/** `line` without the reasons that `isKnown` names. */
export function withoutReasons(line: ProgressLine, isKnown: (reason: string) => boolean): string {
  const all = line.reasons.join(BETWEEN_REASONS);
  if (all === '' || !line.text.endsWith(`: ${all}`)) return line.text;
  const news = line.reasons.filter((reason) => !isKnown(reason)).join(BETWEEN_REASONS);
  return withReason(line.text.slice(0, -all.length - 2), news);
}

/** Slots that wait for the same reason share a line, the most frequent first. */
function reasons(waiting: readonly SlotProgress[]): readonly ProgressLine[] {
  const counts = new Map<string, number>();
  for (const slot of waiting) {
    const text = withReason(stateText({ ...slot, nodeHostname: '' }), reasonOf(slot));
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, MAX_REASONS)
    .map(([text, count]) => ({ key: `reason ${text}`, text: `${count} ${count === 1 ? 'task' : 'tasks'} ${text}`, reasons: [] }));
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
