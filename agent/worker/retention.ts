// How many finished containers a node keeps for their logs: the managers' history (5 per slot) bounds what is assigned; this bounds the disk even
// where they keep more. Pure.

export interface FinishedContainer {
  readonly taskId: string;
  /** Service and slot. */
  readonly slot: string;
  /** When it ended, unix milliseconds. */
  readonly sinceUnixMs: number;
}

export interface RetentionLimits {
  readonly perSlot: number;
  readonly perNode: number;
}

const DEFAULT_RETENTION: RetentionLimits = { perSlot: 5, perNode: 100 };

/** The tasks whose container goes: the oldest beyond the bounds. */
export function beyondRetention(
  finished: readonly FinishedContainer[],
  { perSlot, perNode }: RetentionLimits = DEFAULT_RETENTION,
): readonly string[] {
  const newestFirst = [...finished].sort((a, b) => b.sinceUnixMs - a.sinceUnixMs || (a.taskId < b.taskId ? -1 : 1));
  const kept = new Map<string, number>();
  const beyond: string[] = [];
  let total = 0;
  for (const { taskId, slot } of newestFirst) {
    const inSlot = kept.get(slot) ?? 0;
    if (inSlot >= perSlot || total >= perNode) beyond.push(taskId);
    else {
      kept.set(slot, inSlot + 1);
      total++;
    }
  }
  return beyond;
}
