// From one table's ports to another's, as an increment.
import { isDeepStrictEqual } from 'node:util';
import {
  type Epoch,
  keyOfRoute,
  portKeyOf,
  type PortRoute,
  type RouteTableDelta,
  type RouteTarget,
  type TargetPut,
  type TargetRemoval,
} from '../../proto/index.ts';

/** Ports that are the same object in both are not looked into. */
export function routeDelta(base: Epoch, result: Epoch, before: readonly PortRoute[], after: readonly PortRoute[]): RouteTableDelta {
  const putPorts: PortRoute[] = [];
  const putTargets: TargetPut[] = [];
  const removedTargets: TargetRemoval[] = [];
  const left = new Map(before.map((port) => [portKeyOf(keyOfRoute(port)), port]));
  for (const port of after) {
    const key = portKeyOf(keyOfRoute(port));
    const old = left.get(key);
    left.delete(key);
    if (old === port) continue;
    if (old === undefined || !sameSettings(old, port)) putPorts.push(port);
    else compareTargets(old, port, putTargets, removedTargets);
  }
  return { base, result, putPorts, removedPorts: [...left.values()].map(keyOfRoute), putTargets, removedTargets };
}

export function changesNothing(delta: RouteTableDelta): boolean {
  return (
    delta.putPorts.length === 0 && delta.removedPorts.length === 0 && delta.putTargets.length === 0 && delta.removedTargets.length === 0
  );
}

function compareTargets(old: PortRoute, port: PortRoute, puts: TargetPut[], removals: TargetRemoval[]): void {
  const left = new Map(old.targets.map((target) => [target.taskId, target]));
  for (const target of port.targets) {
    const known = left.get(target.taskId);
    left.delete(target.taskId);
    if (known === undefined || !sameTarget(known, target)) puts.push({ port: keyOfRoute(port), target });
  }
  for (const taskId of left.keys()) removals.push({ port: keyOfRoute(port), taskId });
}

function sameSettings(a: PortRoute, b: PortRoute): boolean {
  return (
    a.serviceId === b.serviceId &&
    a.serviceName === b.serviceName &&
    a.paused === b.paused &&
    a.canaryPermille === b.canaryPermille &&
    isDeepStrictEqual(a.settings, b.settings)
  );
}

function sameTarget(a: RouteTarget, b: RouteTarget): boolean {
  return (
    a.nodeId === b.nodeId &&
    a.nodeAddress === b.nodeAddress &&
    a.nodePort === b.nodePort &&
    a.containerAddress === b.containerAddress &&
    a.containerPort === b.containerPort &&
    a.weight === b.weight &&
    a.state === b.state &&
    a.canary === b.canary
  );
}
