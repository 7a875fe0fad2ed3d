// I2 as the store has it: of a slot at most one task shall run and stay, or two where the later one takes over from the earlier one and its service starts first.
// Besides them only such as ran before they came (back) to the slot: lost ones that returned, promoted canaries; each of them, too, has taken over from the one before
// it. The leader alone writes this, and behind its fence: so it holds at every revision, whatever is down, cut off or late, and nothing excuses it.
import { type Task, TaskState } from '../../../proto/index.ts';
import { short } from '../core/trace.ts';
import type { Truth } from '../truth/truth.ts';
import { surges } from './slots.ts';

export function slotsHaveOneHolder(truth: Pick<Truth, 'mirror' | 'fail' | 'specOf' | 'newestSpec' | 'activeSpec'>): void {
  const { mirror } = truth;
  /** Those that shall run and stay, by slot. */
  const holders = new Map<string, Set<string>>();
  /** What each task replaced, those before it included. */
  const replaced = new Map<string, ReadonlySet<string>>();
  /** Tasks that were lost at some time, whether or not they are back, and promoted canaries. */
  const cameRunning = new Set<string>();
  const tasksOf = (slot: string): readonly Task[] =>
    [...(holders.get(slot) ?? [])].map((id) => mirror.get('tasks', id)?.value).filter((task) => task !== undefined);

  mirror.onChange((change) => {
    if (change.table !== 'tasks') return;
    const [before, after] = [change.before?.value, change.after?.value];
    const task = after ?? before;
    if (task === undefined) return;
    if (after !== undefined && before?.replaces !== after.replaces)
      replaced.set(task.id, new Set([task.replaces, ...(replaced.get(task.replaces) ?? [])]));
    if (task.lost || (before?.canary === true && !task.canary)) cameRunning.add(task.id);
    const slot = slotOf(task);
    if (before !== undefined && slotOf(before) !== slot) holders.get(slotOf(before))?.delete(task.id);
    const those = holders.get(slot) ?? new Set<string>();
    holders.set(slot, those);
    if (after === undefined || !stays(after)) {
      those.delete(task.id);
      return;
    }
    if (those.has(task.id)) return;
    those.add(task.id);
    // The others of this revision are in the mirror, and maybe not in the set yet, or not out of it.
    const all = tasksOf(slot).filter(stays);
    const isChain = all.every((one) => all.every((other) => one === other || takesOver(one, other) || takesOver(other, one)));
    const counted = all.filter(({ id }) => !cameRunning.has(id));
    const most = counted.some((one) => surges(truth, one)) ? 2 : 1;
    if (isChain && counted.length <= most) return;
    const names = all.map(
      ({ id, nodeId, replaces }) => `${short(id)} on ${short(nodeId)}${replaces === '' ? '' : ` for ${short(replaces)}`}`,
    );
    truth.fail('I2', `slot ${short(slot)}${slot.slice(slot.indexOf('/'))} shall run ${all.length} tasks: ${names.join(', ')}`);
  });
  const takesOver = (later: Task, earlier: Task): boolean => replaced.get(later.id)?.has(earlier.id) === true;
}

/** Neither on its way out, nor taken for lost, nor held back. */
function stays({ desired, drain, lost }: Task): boolean {
  return !drain && !lost && (desired === TaskState.RUNNING || desired === TaskState.COMPLETE);
}

/** "<service>/3", "<service>/<node>"; of a job "<service>/<iteration>.3"; of a canary "<service>/3~". */
function slotOf({ serviceId, slot, nodeId, jobIteration, canary }: Task): string {
  return `${serviceId}/${jobIteration === undefined ? '' : `${jobIteration}.`}${slot === 0 ? nodeId : slot}${canary ? '~' : ''}`;
}
