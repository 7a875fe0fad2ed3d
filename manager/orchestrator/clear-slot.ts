// A slot that is not wanted any more.
import { TaskState } from '../../proto/index.ts';
import type { Pass } from './pass.ts';
import type { SlotEdit } from './slot-edit.ts';
import { MAX_FORGOTTEN } from './slot-rules.ts';
import { stopTask } from './stop.ts';

/** Whoever is in it ends, and is forgotten. */
export function clearSlot(pass: Pass, edit: SlotEdit): void {
  const { holder, others } = edit.slot;
  let ended = 0;
  for (const info of others) {
    if (info.isEnded && ++ended > MAX_FORGOTTEN) continue;
    stopTask(pass, edit, info, TaskState.REMOVE);
  }
  if (ended > MAX_FORGOTTEN) pass.wakeIn(0);
  if (holder !== undefined) stopTask(pass, edit, holder, TaskState.REMOVE);
}
