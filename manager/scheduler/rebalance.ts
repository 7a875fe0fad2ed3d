// Which one task of a service would do better elsewhere: for `service rebalance`, and for those that let it happen by itself. Pure; whoever carries it
// out moves one task at a time, as in an update, and asks again.
//
// A move is proposed only where it makes things strictly better, by at least as much as one task more or less: on the first level of the spread on
// which two branches differ by more than one task, else between two nodes, weighed with the affinities as the scheduler weighs them. So the task is not
// placed back where it came from, every move lowers a sum that none of an inner level raises, and it ends. A service that is drawn to itself
// is left alone: there what is better depends on the order of moves.
import type { ServiceSpec } from '../../proto/index.ts';
import { refusal } from './filters.ts';
import type { Inventory, NodeEntry } from './inventory.ts';
import { affinityOf, affinityServices, branchValue, POINTS_PER_COPY } from './preferences.ts';
import { type Shape, shapeOf } from './shape.ts';

export interface RebalanceMove {
  readonly taskId: string;
  readonly fromNodeId: string;
  readonly toNodeId: string;
  /** In plain words: what is uneven now. */
  readonly why: string;
}

export interface RebalanceRequest {
  readonly serviceId: string;
  readonly specNumber: number;
  readonly shape: Shape;
  /** Ids of its tasks that run and may move, by node. */
  readonly movable: ReadonlyMap<string, readonly string[]>;
}

interface Place {
  readonly entry: NodeEntry;
  /** Active tasks of the service. */
  readonly copies: number;
  /** Against one task more. */
  readonly points: number;
  /** Takes one more. */
  readonly isOpen: boolean;
}

/** `rebalanceMove` for a service by its spec. */
export function betterPlace(
  inventory: Inventory,
  { spec, ...asked }: Omit<RebalanceRequest, 'shape'> & { readonly spec: ServiceSpec },
  nowMs: number,
): RebalanceMove | undefined {
  return spec.task && rebalanceMove(inventory, { ...asked, shape: shapeOf(spec.task, spec.ports) }, nowMs);
}

/** Undefined: no move makes it better. Costs a look at every node. */
export function rebalanceMove(inventory: Inventory, request: RebalanceRequest, nowMs: number): RebalanceMove | undefined {
  const { serviceId, specNumber, shape } = request;
  const { affinities } = shape.preferences;
  if (affinityServices(inventory, affinities).includes(serviceId)) return undefined;
  const failing = new Set(inventory.failures.failing(serviceId, specNumber, nowMs));
  const copies = inventory.nodesOfService(serviceId);
  const places: Place[] = [];
  for (const entry of inventory.nodes()) {
    const count = copies?.get(entry) ?? 0;
    const isOpen = !failing.has(entry.id) && refusal(shape, entry, count) === undefined;
    const points = POINTS_PER_COPY * count - affinityOf(inventory, affinities, entry);
    if (isOpen || count > 0) places.push({ entry, copies: count, points, isOpen });
  }
  return moveWithin(places, 0, request);
}

function moveWithin(places: readonly Place[], level: number, request: RebalanceRequest): RebalanceMove | undefined {
  const key = request.shape.preferences.spread[level];
  if (key === undefined) return moveBetweenNodes(places, request);
  const branches = new Map<string, Place[]>();
  for (const place of places) {
    const value = branchValue(key, place.entry);
    const branch = branches.get(value);
    if (branch === undefined) branches.set(value, [place]);
    else branch.push(place);
  }
  const between = moveBetweenBranches([...branches], request);
  if (between !== undefined) return between;
  for (const branch of branches.values()) {
    const within = moveWithin(branch, level + 1, request);
    if (within !== undefined) return within;
  }
  return undefined;
}

/** From the fullest branch that has something to give to the emptiest that takes something. */
function moveBetweenBranches(
  branches: readonly (readonly [value: string, places: readonly Place[]])[],
  request: RebalanceRequest,
): RebalanceMove | undefined {
  const counted = branches.map(([value, places]) => ({ value, places, copies: places.reduce((sum, place) => sum + place.copies, 0) }));
  counted.sort((one, other) => one.copies - other.copies);
  for (const to of counted) {
    const target = emptiest(to.places);
    if (target === undefined) continue;
    for (const from of [...counted].reverse()) {
      if (from.copies - to.copies < 2) break;
      const source = fullest(from.places, request);
      if (source === undefined) continue;
      return moveOf(source, target, request, `${nameOf(from.value)} has ${from.copies} tasks, ${nameOf(to.value)} has ${to.copies}`);
    }
    return undefined;
  }
  return undefined;
}

function moveBetweenNodes(places: readonly Place[], request: RebalanceRequest): RebalanceMove | undefined {
  const source = fullest(places, request);
  const target = emptiest(places);
  // What the source's last task costs there, against what it would cost here.
  if (source === undefined || target === undefined || source.points - target.points < 2 * POINTS_PER_COPY) return undefined;
  const isUneven = source.copies - target.copies >= 2;
  const counts = `${hostnameOf(source)} has ${source.copies} tasks, ${hostnameOf(target)} has ${target.copies}`;
  return moveOf(
    source,
    target,
    request,
    isUneven ? counts : `${hostnameOf(target)} suits its affinities better than ${hostnameOf(source)}`,
  );
}

function moveOf(source: Place, target: Place, { movable }: RebalanceRequest, why: string): RebalanceMove | undefined {
  const taskId = movable.get(source.entry.id)?.at(-1);
  return taskId === undefined ? undefined : { taskId, fromNodeId: source.entry.id, toNodeId: target.entry.id, why };
}

function fullest(places: readonly Place[], { movable }: RebalanceRequest): Place | undefined {
  let best: Place | undefined;
  for (const place of places) {
    const gives = (movable.get(place.entry.id)?.length ?? 0) > 0;
    if (gives && (best === undefined || place.points > best.points)) best = place;
  }
  return best;
}

function emptiest(places: readonly Place[]): Place | undefined {
  let best: Place | undefined;
  for (const place of places) if (place.isOpen && (best === undefined || place.points < best.points)) best = place;
  return best;
}

function hostnameOf({ entry }: Place): string {
  return entry.status?.description?.hostname ?? entry.id;
}

function nameOf(value: string): string {
  return value === '' ? 'the branch without a value' : value;
}
