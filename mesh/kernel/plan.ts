// From the route table to what the kernel is to hold, and why a port is left to the proxy.
import { DataPath, keyOfRoute, portKeyOf, type PortRoute } from '../../proto/index.ts';
import { type BridgeFinder } from './bridges.ts';
import { ASKED_FOR, type PathInUse } from './eligible.ts';
import { flowKey } from './flows.ts';
import { type Family } from './forwarding.ts';
import { type Endpoint, type RouteView } from './route-view.ts';
import { portName, type PortRules, type Rules } from './rules.ts';
import { type Share, slotsOf } from './slots.ts';

/** What a plan is made for besides the routes: where one of these changes, every port is looked at again. */
export interface PlanGround {
  /** "": not known yet. */
  readonly nodeId: string;
  readonly portOffset: number;
  /** Why packets of a family, or datagrams, cannot take the kernel's path on this node. */
  readonly obstacles: ReadonlyMap<Family | 'udp', string>;
  /** Nodes that do not answer. */
  readonly dead: ReadonlySet<string>;
}

export interface PlanInput {
  readonly ground: PlanGround;
  /** Those that ask for the kernel and can have it (`whyProxy`). */
  readonly views: readonly RouteView[];
  /** What is there: slots stay where they are. */
  readonly before: Rules;
  /** Why the mesh's own listener does not have the port. */
  readonly problemOf: (route: PortRoute) => string | undefined;
  readonly bridgeOf: BridgeFinder;
}

export type PlannedPath = PathInUse & Pick<PortRoute, 'publishedPort'>;

export interface Plan {
  readonly rules: Rules;
  /** By `portKeyOf` of the route. */
  readonly paths: ReadonlyMap<string, PlannedPath>;
}

interface PortPlan {
  readonly problem: string | undefined;
  readonly key: string;
  readonly path: PlannedPath;
  /** Undefined: the proxy's. */
  readonly rules: PortRules | undefined;
  readonly name: string;
}

export class Planner {
  #ground: PlanGround | undefined;
  #ports = new WeakMap<RouteView, PortPlan>();

  plan(input: PlanInput): Plan {
    const { ground, views, before, problemOf, bridgeOf } = input;
    if (this.#ground === undefined || !isSame(this.#ground, ground)) this.#ports = new WeakMap();
    this.#ground = ground;
    const ports = new Map<string, PortRules>();
    const paths = new Map<string, PlannedPath>();
    const locals = new Set<string>();
    const bridges = new Set<string>();
    for (const view of views) {
      const problem = problemOf(view.route);
      let plan = this.#ports.get(view);
      if (plan?.problem !== problem || plan === undefined) {
        plan = planPort(view, ground, problem, before);
        this.#ports.set(view, plan);
      }
      paths.set(plan.key, plan.path);
      if (plan.rules === undefined) continue;
      ports.set(plan.name, plan.rules);
      // Of draining ones too: their connections go on as they began.
      for (const { host, local, target } of view.endpoints) {
        if (!local || locals.has(host)) continue;
        locals.add(host);
        const bridge = bridgeOf(host, target.nodeAddress);
        if (bridge !== undefined) bridges.add(bridge);
      }
    }
    return { rules: { ports, locals, bridges }, paths };
  }
}

/** `flowKey`s that new connections are sent to. */
export function keysOf(rules: Rules): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const { transport, slots4, slots6 } of rules.ports.values()) {
    for (const slots of [slots4, slots6]) {
      for (const address of slots) keys.add(flowKey(transport, address));
    }
  }
  return keys;
}

function isSame(one: PlanGround, other: PlanGround): boolean {
  return (
    one.nodeId === other.nodeId &&
    one.portOffset === other.portOffset &&
    isEqual([...one.obstacles].flat(), [...other.obstacles].flat()) &&
    isEqual([...one.dead], [...other.dead])
  );
}

function isEqual(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((each, index) => each === other[index]);
}

function planPort(view: RouteView, ground: PlanGround, problem: string | undefined, before: Rules): PortPlan {
  const { route, transport } = view;
  const { publishedPort } = route;
  const port = publishedPort + ground.portOffset;
  const name = portName({ transport, port });
  const key = portKeyOf(keyOfRoute(route));
  const obstacle = obstacleTo(view, ground, problem);
  if (obstacle !== undefined) {
    return { problem, key, name, rules: undefined, path: { publishedPort, path: DataPath.PATH_PROXY, reason: obstacle } };
  }
  const taking = view.endpoints.filter(({ draining, host, local }) => !draining && (local || !ground.dead.has(host)));
  const were = before.ports.get(name);
  const slots4 = slotsFor(route, taking, '4', were?.slots4 ?? []);
  const slots6 = slotsFor(route, taking, '6', were?.slots6 ?? []);
  const path = { publishedPort, path: DataPath.PATH_KERNEL, reason: reasonOf(route, taking) };
  return { problem, key, name, rules: { transport, port, slots4, slots6 }, path };
}

function obstacleTo(
  { transport, endpoints, families }: RouteView,
  { nodeId, obstacles }: PlanGround,
  problem: string | undefined,
): string | undefined {
  if (nodeId === '') return 'this mesh has not been told yet which node it is on';
  if (problem !== undefined) return `the mesh's own listener does not have the port: ${problem}`;
  if (endpoints.some(({ host }) => /^127\.|^::1$/.test(host))) {
    return 'a replica of this node listens on its loopback, where the kernel sends nobody from outside';
  }
  if (transport === 'udp' && obstacles.has('udp')) return obstacles.get('udp');
  for (const family of families) {
    const obstacle = obstacles.get(family);
    if (obstacle !== undefined) return obstacle;
  }
  return undefined;
}

function slotsFor(route: PortRoute, taking: readonly Endpoint[], family: Family, before: readonly string[]): readonly string[] {
  if (route.paused) return [];
  const shares = taking
    .filter((endpoint) => endpoint.family === family)
    .map(({ target, address }): Share => ({ address, weight: Math.max(1, target.weight), canary: target.canary }));
  return slotsOf(shares, route.canaryPermille, before);
}

function reasonOf(route: PortRoute, taking: readonly Endpoint[]): string {
  if (route.paused) return `${ASKED_FOR}; it is paused, so new clients wait at the mesh's listener`;
  return taking.length > 0 ? ASKED_FOR : `${ASKED_FOR}; there is no replica, so new clients wait at the mesh's listener`;
}
