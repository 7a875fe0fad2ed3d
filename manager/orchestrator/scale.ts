// Which slots a service shall have: as many as it says for replicated, one on each node that qualifies for global.
import { Availability } from '../../proto/index.ts';
import { placementProblem, takesGlobalTask } from '../constraint/index.ts';
import type { Pass } from './pass.ts';
import { emptySlot, type SlotTasks } from './slot.ts';

export interface SlotChoice {
  readonly wanted: readonly SlotTasks[];
  readonly unwanted: readonly SlotTasks[];
  /** More are missing than are made in one pass. */
  readonly isCut: boolean;
}

/** So that a pass over a huge service stays short; the next one goes on. */
const MAX_MADE_PER_PASS = 5000;

export function chooseSlots(pass: Pass, slots: ReadonlyMap<string, SlotTasks>): SlotChoice {
  return pass.isGlobal ? chooseNodes(pass, slots) : chooseNumbers(pass, slots);
}

function chooseNumbers(pass: Pass, slots: ReadonlyMap<string, SlotTasks>): SlotChoice {
  const { replicas } = pass.spec;
  const filled = [...slots.values()].filter((slot) => slot.holder !== undefined);
  const vacant = new Map([...slots].filter(([, slot]) => slot.holder === undefined));
  if (filled.length >= replicas) {
    const leaving = new Set(filled.length > replicas ? surplus(filled, filled.length - replicas) : []);
    return { wanted: filled.filter((slot) => !leaving.has(slot)), unwanted: [...leaving, ...vacant.values()], isCut: false };
  }
  const missing = Math.min(replicas - filled.length, MAX_MADE_PER_PASS);
  const wanted = [...filled];
  for (let number = 1; wanted.length < filled.length + missing; number++) {
    const key = String(number);
    if (slots.get(key)?.holder !== undefined) continue;
    wanted.push(vacant.get(key) ?? emptySlot(pass.view, pass.serviceId, key));
    vacant.delete(key);
  }
  return { wanted, unwanted: [...vacant.values()], isCut: wanted.length < replicas };
}

/**
 * Whom scaling down takes: those that leave already (so that a choice stands), then those without a node, then those from the nodes with most
 * copies, not running before running, highest slot.
 */
function surplus(filled: readonly SlotTasks[], count: number): readonly SlotTasks[] {
  const byNode = new Map<string, SlotTasks[]>();
  const first: SlotTasks[] = [];
  for (const slot of filled) {
    const nodeId = slot.holder?.task.nodeId ?? '';
    if (leavesAlready(slot) || slot.holder?.isWaiting === true) first.push(slot);
    else {
      const list = byNode.get(nodeId);
      if (list === undefined) byNode.set(nodeId, [slot]);
      else list.push(slot);
    }
  }
  first.sort((one, other) => Number(leavesAlready(other)) - Number(leavesAlready(one)) || number(other) - number(one));
  // The i-th that a node with n copies gives up is taken while it has n - i.
  const rest = [...byNode.values()].flatMap((list) => list.sort(byUse).map((slot, given) => ({ slot, copies: list.length - given })));
  rest.sort((one, other) => other.copies - one.copies || byUse(one.slot, other.slot));
  return [...first, ...rest.map(({ slot }) => slot)].slice(0, count);
}

function leavesAlready({ holder }: SlotTasks): boolean {
  return holder?.task.drain === true;
}

function byUse(one: SlotTasks, other: SlotTasks): number {
  return Number(serves(one)) - Number(serves(other)) || number(other) - number(one);
}

/** Its task is up, or the one that this takes over from still is. */
function serves({ holder, others }: SlotTasks): boolean {
  return holder?.isUp === true || others.some((other) => other.isUp && !other.task.drain);
}

function number(slot: SlotTasks): number {
  return Number(slot.key);
}

function chooseNodes(pass: Pass, slots: ReadonlyMap<string, SlotTasks>): SlotChoice {
  const placement = pass.spec.task?.placement;
  const wanted: SlotTasks[] = [];
  const unwanted = new Map(slots);
  for (const { id, value: node } of pass.view.all('nodes')) {
    const status = pass.view.get('nodeStatus', id)?.value;
    const slot = slots.get(id);
    const isFilled = slot?.holder !== undefined;
    // A task that is there stays on a paused node, and on one that does not answer at present.
    const keeps = isFilled && node.spec?.availability !== Availability.DRAIN && placementProblem(placement, node, status) === undefined;
    if (!keeps && !takesGlobalTask(placement, node, status)) continue;
    if (slot === undefined && wanted.length >= MAX_MADE_PER_PASS + slots.size) return { wanted, unwanted: [], isCut: true };
    wanted.push(slot ?? emptySlot(pass.view, pass.serviceId, id));
    unwanted.delete(id);
  }
  return { wanted, unwanted: [...unwanted.values()], isCut: false };
}
