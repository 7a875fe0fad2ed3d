// One service's part of an HTTP port: its replicas with their pools, its settings and limits, and its open requests.
import { type Clock } from '../../lib/clock.ts';
import { type Logger } from '../../lib/log.ts';
import { type Rng } from '../../lib/rng.ts';
import { type IngressSettings, type PortRoute, TargetState } from '../../proto/index.ts';
import { Balancer, type Replica } from '../balance/balancer.ts';
import { type Search, type SearchField } from '../balance/search.ts';
import { type Drains } from '../drains.ts';
import { CONNECT_TIMEOUT_MS, type Limits, limitsOf, whereSet } from '../limits.ts';
import { type RouteLook } from '../served-port.ts';
import { type TrustedSources, trustedSources } from '../trusted-sources.ts';
import { countEnd, type RouteCounters } from './counters.ts';
import { valueOf } from './head.ts';
import { IDLE_TIMEOUT_MS, RESPONSE_TIMEOUT_MS } from './limits.ts';
import { Pool } from './pool.ts';
import { cookieValueOf, readCookie } from './sticky.ts';
import { type Visit } from './visit.ts';

/** An open request or upgraded connection. */
export interface Guest {
  /** Called every few seconds at most: ends it where nothing has moved for too long, and says so. */
  sweep(nowMs: number, idleMs: number): boolean;
  close(): void;
}

export interface HttpRouteOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  /** Where the table says nothing. */
  readonly limits: Limits;
  readonly drains: Drains;
  readonly counters: RouteCounters;
  /** Its last guest is gone. */
  readonly onEmpty: () => void;
}

export class HttpRoute implements SearchField {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly balancer: Balancer;
  readonly drains: Drains;
  readonly counters: RouteCounters;
  readonly #options: HttpRouteOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #guests = new Set<Guest>();
  readonly #held = new Set<Search>();
  /** Tasks by the values of their cookies. */
  #tasks: ReadonlyMap<string, string> = new Map();
  #route: PortRoute;
  #limits: Limits;
  #closing = false;
  #handedOver = false;
  trusted: TrustedSources | undefined;

  constructor(options: HttpRouteOptions, route: PortRoute, nodeId: string) {
    this.#options = options;
    this.clock = options.clock;
    this.rng = options.rng;
    this.drains = options.drains;
    this.counters = options.counters;
    this.balancer = new Balancer(options);
    this.#route = route;
    this.#limits = options.limits;
    this.update(route, nodeId);
  }

  get settings(): IngressSettings | undefined {
    return this.#route.settings;
  }

  get service(): string {
    return this.#route.serviceName;
  }

  get connectTimeoutMs(): number {
    return whereSet(this.settings?.connectTimeoutMs) ?? CONNECT_TIMEOUT_MS;
  }

  /** 0: no limit. */
  get responseTimeoutMs(): number {
    return this.settings?.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS;
  }

  get idleMs(): number {
    return whereSet(this.settings?.idleTimeoutMs) ?? IDLE_TIMEOUT_MS;
  }

  get holdMs(): number {
    return this.#limits.holdMs;
  }

  get paused(): boolean {
    return this.#route.paused;
  }

  get size(): number {
    return this.#guests.size;
  }

  /** It takes no new requests. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Clients are told to come back on a new connection. */
  get sendsClientsAway(): boolean {
    return this.#closing || this.#handedOver;
  }

  update(route: PortRoute, nodeId: string): void {
    this.#route = route;
    this.#limits = limitsOf(route.settings, this.#options.limits);
    this.counters.service = route.serviceName;
    this.trusted = trustedSources(route.settings?.trustedSources ?? []);
    this.balancer.update(route.targets, nodeId, route.canaryPermille);
    const active = route.targets.filter((target) => target.state === TargetState.TARGET_ACTIVE).map((target) => target.taskId);
    this.#tasks =
      (route.settings?.stickyCookie ?? '') === '' ? new Map() : new Map(active.map((taskId) => [cookieValueOf(taskId), taskId]));
    this.#retirePools(new Set(active));
    if (route.paused || this.balancer.size === 0) return;
    for (const search of [...this.#held]) search.wake();
  }

  /** Its guests go on to their end; those that still wait for a replica are answered. */
  close(): void {
    this.#closing = true;
    for (const search of [...this.#held]) search.giveUp();
    this.#retirePools(new Set());
  }

  /** Another process has the port: what comes on connections that are here is served all the same. */
  handOver(): void {
    this.#handedOver = true;
  }

  closeGuests(): void {
    for (const guest of [...this.#guests]) guest.close();
  }

  sweep(nowMs: number): void {
    for (const guest of [...this.#guests]) {
      if (guest.sweep(nowMs, this.idleMs)) this.counters.idleClosed++;
    }
  }

  look(): RouteLook {
    const { byClass, replicaFailures, noReplica, overLimit } = this.counters;
    return {
      route: this.#route,
      replicas: this.balancer.replicas(),
      open: this.size,
      waiting: this.#held.size,
      total: byClass.reduce((sum, count) => sum + count, this.size),
      replicaFailures,
      refused: noReplica + overLimit,
    };
  }

  /** False: too many are open. */
  enter(guest: Guest): boolean {
    if (this.#guests.size >= this.#limits.maxConnections) {
      this.counters.overLimit++;
      return false;
    }
    this.#guests.add(guest);
    this.counters.open++;
    return true;
  }

  /** `status`: 0 where the client left before there was one. */
  leave(guest: Guest, visit: Visit, status: number, taskId: string, upgraded: boolean): void {
    if (!this.#guests.delete(guest)) return;
    this.counters.open--;
    const durationMs = this.clock.nowMs() - visit.startedMs;
    countEnd(this.counters, status, upgraded ? undefined : durationMs);
    const permille = this.settings?.accessLogPermille ?? 0;
    if (permille > 0 && this.rng.next() * 1000 < permille) this.#logAccess(visit, status, taskId, durationMs);
    if (this.#guests.size === 0) this.#options.onEmpty();
  }

  hold(search: Search): boolean {
    if (this.#closing || this.#held.size >= this.#limits.maxHeld) return false;
    this.#held.add(search);
    this.counters.held = this.#held.size;
    return true;
  }

  unhold(search: Search): void {
    this.#held.delete(search);
    this.counters.held = this.#held.size;
  }

  /** Counts the attempt as open at the replica, until `closed`. */
  opened(replica: Replica): void {
    replica.open++;
    this.drains.opened(replica.taskId);
  }

  closed(replica: Replica): void {
    replica.open--;
    this.drains.closed(replica.taskId);
  }

  poolOf(replica: Replica): Pool {
    let pool = this.#pools.get(replica.taskId);
    if (pool === undefined) {
      pool = new Pool(this.clock);
      this.#pools.set(replica.taskId, pool);
    }
    return pool;
  }

  /** The task that the client's cookie names, if it is still there. */
  stickyTask(visit: Visit): string | undefined {
    if (this.#tasks.size === 0) return undefined;
    const value = readCookie(valueOf(visit.head, 'cookie', '; '), this.settings?.stickyCookie ?? '');
    return value === undefined ? undefined : this.#tasks.get(value);
  }

  #retirePools(active: ReadonlySet<string>): void {
    for (const [taskId, pool] of this.#pools) {
      if (active.has(taskId)) continue;
      this.#pools.delete(taskId);
      pool.retire();
    }
  }

  #logAccess({ head, ends, authority, target }: Visit, status: number, taskId: string, durationMs: number): void {
    this.#options.log.info('request', {
      port: this.#route.publishedPort,
      service: this.service,
      client: ends.client,
      method: head.method,
      host: authority,
      target,
      status,
      durationMs: Math.round(durationMs * 10) / 10,
      taskId,
    });
  }
}
