// What a service's progress says, in lines; the two views show them each in its own way.
import { enumName, type ServiceProgress, type SlotProgress, TaskState, UpdateState } from '../../../proto/index.ts';

export interface ProgressLine {
  /** The same for the same thing over time: a view can tell what changed. */
  readonly key: string;
  readonly text: string;
}

/** Reasons shown where there are too many slots for a line each. */
const MAX_REASONS = 5;

export function progressLines(progress: ServiceProgress): readonly ProgressLine[] {
  const slots =
    progress.slots.length > 0
      ? progress.slots.map((slot) => ({ key: `slot ${slot.slot}`, text: `${slotName(slot, progress.desired)}: ${slotText(slot)}` }))
      : reasons(progress.waiting);
  return [
    { key: 'overall', text: `overall progress: ${progress.running} out of ${progress.desired} tasks${updateText(progress)}` },
    ...slots,
  ];
}

function updateText({ update }: ServiceProgress): string {
  if (update === undefined) return '';
  const paused = update.state === UpdateState.UPDATE_PAUSED || update.state === UpdateState.ROLLBACK_PAUSED;
  return paused ? ` (paused: ${update.message})` : '';
}

/** "3/5" for a slot by number, the hostname for a global service. */
function slotName({ slot }: SlotProgress, desired: number): string {
  return /^\d+$/.test(slot) ? `${slot}/${desired}` : slot;
}

/** Messages that say no more than the state does are left out. */
function slotText({ state, message, nodeHostname }: SlotProgress): string {
  const name = enumName(TaskState, state).toLowerCase();
  const where = nodeHostname === '' ? '' : ` on ${nodeHostname}`;
  const why = message === '' || state === TaskState.RUNNING || message.toLowerCase() === name ? '' : `: ${oneLine(message)}`;
  return `${name}${where}${why}`;
}

/** Slots that wait for the same reason share a line, the most frequent first. */
function reasons(waiting: readonly SlotProgress[]): readonly ProgressLine[] {
  const counts = new Map<string, number>();
  for (const slot of waiting) {
    const text = slotText({ ...slot, nodeHostname: '' });
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, MAX_REASONS)
    .map(([text, count]) => ({ key: `reason ${text}`, text: `${count} ${count === 1 ? 'task' : 'tasks'} ${text}` }));
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
