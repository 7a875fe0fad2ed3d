// A route as the kernel path of one node sees it. Routes and targets keep their identity through increments of the table, so what was worked out for one is
// kept with it: a change of one target among thousands costs little more than that target.
import { isIPv6 } from 'node:net';
import { type PortRoute, type RouteTarget, TargetState } from '../../proto/index.ts';
import { addressOf } from '../balance/balancer.ts';
import { transportOf } from './eligible.ts';
import { flowKey } from './flows.ts';
import { type Family } from './forwarding.ts';
import { addressKey, canonicalAddress, type Transport } from './rules.ts';

/** A replica as the kernel reaches it from this node. */
export interface Endpoint {
  readonly target: RouteTarget;
  /** Canonical. */
  readonly host: string;
  readonly port: number;
  readonly local: boolean;
  readonly family: Family;
  /** `addressKey`, `flowKey`. */
  readonly address: string;
  readonly flow: string;
  readonly draining: boolean;
}

export interface RouteView {
  readonly route: PortRoute;
  readonly transport: Transport;
  /** Those of the route's targets that have an address. */
  readonly endpoints: readonly Endpoint[];
  readonly families: ReadonlySet<Family>;
}

export class RouteViews {
  readonly #nodeId: string;
  readonly #views = new WeakMap<PortRoute, RouteView>();
  /** A target is of one route, so of one transport. */
  readonly #endpoints = new WeakMap<RouteTarget, Endpoint | 'none'>();

  constructor(nodeId: string) {
    this.#nodeId = nodeId;
  }

  /** Undefined for protocols that are not the kernel's. */
  of(route: PortRoute): RouteView | undefined {
    const known = this.#views.get(route);
    if (known !== undefined) return known;
    const transport = transportOf(route.protocol);
    if (transport === undefined) return undefined;
    const endpoints = route.targets.flatMap((target) => this.#endpoint(target, transport) ?? []);
    const view = { route, transport, endpoints, families: new Set(endpoints.map(({ family }) => family)) };
    this.#views.set(route, view);
    return view;
  }

  #endpoint(target: RouteTarget, transport: Transport): Endpoint | undefined {
    const known = this.#endpoints.get(target);
    if (known !== undefined) return known === 'none' ? undefined : known;
    const endpoint = endpointOf(target, transport, this.#nodeId);
    this.#endpoints.set(target, endpoint ?? 'none');
    return endpoint;
  }

  all(routes: Iterable<PortRoute>): readonly RouteView[] {
    return [...routes].flatMap((route) => this.of(route) ?? []);
  }
}

function endpointOf(target: RouteTarget, transport: Transport, nodeId: string): Endpoint | undefined {
  const at = addressOf(target, nodeId);
  const host = at === undefined ? undefined : canonicalAddress(at.host);
  if (at === undefined || host === undefined) return undefined;
  const address = addressKey(host, at.port);
  return {
    target,
    host,
    port: at.port,
    local: target.nodeId === nodeId && nodeId !== '',
    family: isIPv6(host) ? '6' : '4',
    address,
    flow: flowKey(transport, address),
    draining: target.state === TargetState.TARGET_DRAINING,
  };
}
