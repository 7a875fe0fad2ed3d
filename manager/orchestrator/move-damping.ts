// Tasks that have to leave their node again and again. Each move is right by itself, but two rules that contradict one another (or nodes that go and
// come) would have them chase from node to node, as fast as the store takes it. So a slot has a few moves for nothing; after these each next one
// is placed only after a delay that doubles, until a task of the slot has stayed for a while. Pure.
import { formatDurationMs } from '../../lib/units.ts';
import type { Pass } from './pass.ts';
import type { TaskInfo } from './task-info.ts';

const FREE_MOVES = 3;
const FIRST_HOLD_MS = 5000;
const MAX_HOLD_MS = 5 * 60_000;
/** A task that has stayed for so long on its node has settled: what was before counts no more. */
const SETTLED_MS = 60_000;

/** How long a task that came of so many moves in a row is held before it gets a node. */
export function holdMs(moves: number): number {
  return moves <= FREE_MOVES ? 0 : Math.min(MAX_HOLD_MS, FIRST_HOLD_MS * 2 ** Math.min(moves - FREE_MOVES - 1, 16));
}

export function holdMessage(moves: number): string {
  return `its slot was moved ${moves} times in a row, each time within ${formatDurationMs(SETTLED_MS)}: it gets a node after ${formatDurationMs(holdMs(moves))}`;
}

/** The count of a task that takes over from one that has to leave its node. A new spec begins to count anew. */
export function movesAfter(pass: Pass, replaced: TaskInfo, specNumber: number): number {
  if (replaced.task.specNumber !== specNumber) return 1;
  const hasSettled = pass.context.seen.has(pass.serviceId, placedKey(replaced)) && pass.sinceMs(placedKey(replaced)) >= SETTLED_MS;
  return hasSettled ? 1 : replaced.task.moves + 1;
}

/** Remembers since when it is where it is. */
export function notePlaced(pass: Pass, info: TaskInfo): void {
  if (info.task.moves > 0 && !info.isWaiting) pass.sinceMs(placedKey(info));
}

/** Until a task that is held gets a node; 0: now. */
export function holdLeftMs(pass: Pass, { task, row }: TaskInfo): number {
  return Math.max(0, holdMs(task.moves) - pass.sinceMs(`hold:${row.id}`));
}

function placedKey({ row }: TaskInfo): string {
  return `placed:${row.id}`;
}
