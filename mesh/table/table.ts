// The route table as the mesh holds it, and how whole tables and deltas turn one into the next. Pure.
// An unchanged port keeps its identity (===) through a delta, so that whoever compares two tables may stop there.
import { ShoalError } from '../../lib/errors.ts';
import {
  comparePortKeys,
  type Epoch,
  keyOfRoute,
  type PortKey,
  portKeyOf,
  type PortRoute,
  type RouteTable,
  type RouteTableDelta,
  type RouteTarget,
  TargetState,
} from '../../proto/index.ts';
import { compareEpochs, describeEpoch } from './epoch.ts';

export interface Table {
  readonly epoch: Epoch;
  /** By `portKeyOf`. */
  readonly ports: ReadonlyMap<string, PortRoute>;
}

export type Outcome =
  | { readonly kind: 'changed'; readonly table: Table }
  /** The table is what the mesh has already. */
  | { readonly kind: 'unchanged' }
  /** The delta's base is not what the mesh has. */
  | { readonly kind: 'gap' }
  | { readonly kind: 'refused'; readonly error: ShoalError };

/** A table in the form that is sent and stored; ports in ascending order, so that equal tables are equal bytes. */
export function toMessage(table: Table): RouteTable {
  const ports = [...table.ports.values()].sort((a, b) => comparePortKeys(keyOfRoute(a), keyOfRoute(b)));
  return { epoch: table.epoch, ports };
}

/** Undefined without an epoch: such a table has no name and cannot be held. */
export function fromMessage(message: RouteTable): Table | undefined {
  if (message.epoch === undefined) return undefined;
  return { epoch: message.epoch, ports: new Map(message.ports.map((port) => [portKeyOf(keyOfRoute(port)), port])) };
}

/** `clusterId`: the cluster this mesh serves, "" where none is known yet. */
export function applyTable(current: Table | undefined, message: RouteTable, clusterId: string): Outcome {
  const table = fromMessage(message);
  if (table === undefined) return refused('invalid_argument', 'a route table without an epoch; the sender is at fault');
  const barrier = checkEpoch(table.epoch, current, clusterId);
  return barrier ?? { kind: 'changed', table };
}

export function applyDelta(current: Table | undefined, delta: RouteTableDelta, clusterId: string): Outcome {
  const { base, result } = delta;
  if (base === undefined || result === undefined) {
    return refused('invalid_argument', 'a route table delta without base or result epoch; the sender is at fault');
  }
  const barrier = checkEpoch(result, current, clusterId);
  if (barrier !== undefined) return barrier;
  if (current === undefined || compareEpochs(base, current.epoch) !== 'same') return { kind: 'gap' };
  const ports = new Map(current.ports);
  for (const key of delta.removedPorts) ports.delete(portKeyOf(key));
  for (const port of delta.putPorts) ports.set(portKeyOf(keyOfRoute(port)), port);
  return changeTargets(ports, delta) ? { kind: 'changed', table: { epoch: result, ports } } : { kind: 'gap' };
}

/** Without these as targets of anything new; what drains goes on to its end. Ports that have none of them keep their identity. */
export function withoutTasks(table: Table, taskIds: ReadonlySet<string>): Table {
  const isOut = ({ taskId, state }: RouteTarget): boolean => state === TargetState.TARGET_ACTIVE && taskIds.has(taskId);
  const ports = new Map(table.ports);
  for (const [key, route] of table.ports)
    if (taskIds.size > 0 && route.targets.some(isOut))
      ports.set(key, { ...route, targets: route.targets.filter((target) => !isOut(target)) });
  return { epoch: table.epoch, ports };
}

function checkEpoch(epoch: Epoch, current: Table | undefined, clusterId: string): Outcome | undefined {
  const own = current?.epoch.clusterId ?? clusterId;
  if (own !== '' && epoch.clusterId !== own) {
    return refused(
      'permission_denied',
      `this mesh serves cluster ${own} and takes no route table of cluster ${epoch.clusterId}; ` +
        'a node that changed clusters needs an empty data directory',
    );
  }
  if (current === undefined) return undefined;
  switch (compareEpochs(epoch, current.epoch)) {
    case 'same':
      return { kind: 'unchanged' };
    case 'older':
    case 'foreign':
      return refused(
        'conflict',
        `a route table of ${describeEpoch(epoch)} is older than the one in use (${describeEpoch(current.epoch)}); the sender lags behind`,
      );
    case 'newer':
      return undefined;
  }
}

/** False where the delta names a port that is not there: the base was not what its name says, so the whole table is needed. */
function changeTargets(ports: Map<string, PortRoute>, delta: RouteTableDelta): boolean {
  const edited = new Map<string, Map<string, PortRoute['targets'][number]>>();
  const targetsOf = (port: PortKey | undefined): Map<string, PortRoute['targets'][number]> | undefined => {
    if (port === undefined) return undefined;
    const key = portKeyOf(port);
    const route = ports.get(key);
    if (route === undefined) return undefined;
    let targets = edited.get(key);
    if (targets === undefined) {
      targets = new Map(route.targets.map((target) => [target.taskId, target]));
      edited.set(key, targets);
    }
    return targets;
  };
  for (const removal of delta.removedTargets) {
    const targets = targetsOf(removal.port);
    if (targets === undefined) return false;
    targets.delete(removal.taskId);
  }
  for (const put of delta.putTargets) {
    const targets = targetsOf(put.port);
    if (targets === undefined || put.target === undefined) return false;
    targets.set(put.target.taskId, put.target);
  }
  for (const [key, targets] of edited) {
    const route = ports.get(key);
    if (route !== undefined) ports.set(key, { ...route, targets: [...targets.values()] });
  }
  return true;
}

function refused(code: 'invalid_argument' | 'permission_denied' | 'conflict', message: string): Outcome {
  return { kind: 'refused', error: new ShoalError(code, message) };
}
