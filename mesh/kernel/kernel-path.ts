// The kernel path of one node: nftables rules that send new connections of published ports straight to replicas, before they reach the mesh. The mesh's
// listener has every port all the same: what the rules do not take goes there, so whatever fails here costs speed, never a connection.
// One pass at a time brings the kernel to what the table now says, in one transaction; what changes meanwhile is folded into the next pass.
import { type Backoff, backoff } from '../../lib/backoff.ts';
import { type Clock, type Timer } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import { type Logger } from '../../lib/log.ts';
import { type Rng } from '../../lib/rng.ts';
import { DataPath, keyOfRoute, portKeyOf, type PortRoute, TargetState } from '../../proto/index.ts';
import { type Drains } from '../drains.ts';
import { type Table } from '../table/table.ts';
import { type BridgeFinder } from './bridges.ts';
import { type PathInUse, whyProxy } from './eligible.ts';
import { type Flows } from './flows.ts';
import { type Family, type Forwarding } from './forwarding.ts';
import { type HeldPlace, Holds } from './holds.ts';
import { countersOf, type Listing, rulesOf } from './listing.ts';
import { keysOf, type Plan, Planner } from './plan.ts';
import { type Probe, Prober } from './prober.ts';
import { removeRules } from './removal.ts';
import { type Endpoint, type RouteView, RouteViews } from './route-view.ts';
import { NO_RULES, portName, type Rules, tableName, type Transport } from './rules.ts';
import { type Layout, retreatScript, scriptOf } from './script.ts';
import { StaleFlows } from './stale-flows.ts';
import { type RunTool } from './tools.ts';

/** What of the system the kernel path uses. */
export interface KernelSystem {
  readonly run: RunTool;
  readonly flows: Flows;
  readonly probe: Probe;
  readonly forwarding: (table: string) => Forwarding;
  readonly bridges: () => BridgeFinder;
}

export interface KernelPathOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly system: KernelSystem;
  readonly nodeId: string;
  /** Numeric; none: all addresses of the node. */
  readonly listen: readonly string[];
  readonly portOffset: number;
  readonly drains: Pick<Drains, 'opened' | 'closed'>;
  /** Why the mesh's own listener does not have the port; undefined: it has. */
  readonly problemOf: (route: PortRoute) => string | undefined;
}

export interface KernelCounter {
  readonly transport: Transport;
  readonly publishedPort: number;
  /** Connections, or flows, that the kernel has sent to replicas since the port was mapped. */
  readonly connections: number;
}

/** A table waits so long at most for the kernel. Tasks that may still be mapped are not idle, so going on then loses nothing but time. */
const APPLY_WAIT_MS = 3000;
/** Rules are seen to be there, and counters read, this often. */
const CHECK_MS = 10_000;
/** Looking at thousands of ports is not to take more than this share of the time. */
const CHECK_SHARE = 0.01;
const RETRY = { baseMs: 500, capMs: 30_000 };
const MAX_PORTS_LOGGED = 20;

export class KernelPath {
  readonly #options: KernelPathOptions;
  readonly #holds: Holds;
  readonly #prober: Prober;
  readonly #stale: StaleFlows;
  readonly #retry: Backoff;
  readonly #planner = new Planner();
  #views: RouteViews;
  #nodeId: string;
  #table: Table | undefined;
  /** Of the table, those that the kernel is to serve. */
  #routes: readonly PortRoute[] = [];
  /** What is in the kernel; undefined: to be read. */
  #there: Listing | undefined;
  #paths: Plan['paths'] = new Map();
  #counters: readonly KernelCounter[] = [];
  /** Kept between two checks, for the families that were asked about. */
  #obstacles: ReadonlyMap<Family | 'udp', string> | undefined;
  #asked = '';
  /** Why nothing can be mapped at all. */
  #trouble: string | undefined;
  #failures = 0;
  #dirty = false;
  #running: Promise<void> | undefined;
  #waiting: (() => void)[] = [];
  #timer: Timer | undefined;
  #stopped = false;
  #logged: ReadonlySet<string> = new Set();

  constructor(options: KernelPathOptions) {
    this.#options = options;
    this.#nodeId = options.nodeId;
    this.#views = new RouteViews(options.nodeId);
    const { clock, rng, log, drains, system } = options;
    this.#holds = new Holds({ clock, log, drains, flows: system.flows });
    this.#stale = new StaleFlows(system.flows, log);
    this.#retry = backoff(RETRY, rng);
    this.#prober = new Prober({
      clock,
      rng,
      probe: system.probe,
      onChange: () => {
        this.#kick();
      },
    });
  }

  /** Of the ports that the kernel serves; up to a check old. */
  get counters(): readonly KernelCounter[] {
    return this.#counters;
  }

  /** Resolves when the kernel holds what the table says, or leaves the ports to the listener, or after a bounded time. Never rejects. */
  async apply(table: Table): Promise<void> {
    if (this.#stopped) return;
    this.#table = table;
    this.#routes = [...table.ports.values()].filter((route) => whyProxy(route) === undefined);
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(APPLY_WAIT_MS, resolve, true);
      this.#waiting.push(() => {
        timer.cancel();
        resolve();
      });
      this.#kick();
    });
  }

  /** The agent has said which node this is. */
  setNodeId(nodeId: string): void {
    if (nodeId === this.#nodeId) return;
    this.#nodeId = nodeId;
    this.#views = new RouteViews(nodeId);
    this.#there = undefined;
    this.#kick();
  }

  /** A listener has got, or lost, its port. */
  listenersChanged(): void {
    if (this.#routes.length > 0) this.#kick();
  }

  /** Which path new connections of the route take, and why. */
  pathOf(route: PortRoute): PathInUse {
    const reason = whyProxy(route);
    if (reason !== undefined) return { path: DataPath.PATH_PROXY, reason };
    if (this.#trouble !== undefined) return { path: DataPath.PATH_PROXY, reason: this.#trouble };
    return this.#paths.get(portKeyOf(keyOfRoute(route))) ?? { path: DataPath.PATH_PROXY, reason: 'the kernel has not been told yet' };
  }

  /** Takes no new connections any more; those that are mapped go on. */
  async close(): Promise<void> {
    this.#routes = [];
    this.#kick();
    await this.#running;
  }

  /** A successor has the rules from now on, and the connections in the kernel: nothing is written or counted here any more. */
  async handOver(): Promise<void> {
    await this.stop(false);
    this.#holds.release();
  }

  /** What is in the kernel may have been changed by a predecessor: it is read, and made good. */
  tookOver(): void {
    this.#there = undefined;
    this.#kick();
  }

  /** `forGood`: nothing is left in the kernel. Otherwise the rules stay, and serve until a mesh of this node is back. */
  async stop(forGood: boolean): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#prober.stop();
    this.#holds.stop();
    await this.#running;
    if (!forGood || this.#nodeId === '' || this.#there?.kind === 'absent') return;
    await removeRules(this.#nodeId, this.#options.system.run).catch((error: unknown) => {
      this.#options.log.error('rules of this mesh are left in the kernel', { table: tableName(this.#nodeId), reason: messageOf(error) });
    });
  }

  get #layout(): Layout {
    return { table: tableName(this.#nodeId), listen: this.#options.listen };
  }

  #kick(): void {
    if (this.#stopped) return;
    this.#dirty = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async #run(): Promise<void> {
    while (this.#dirty && !this.#stopped) {
      this.#dirty = false;
      const waiting = this.#waiting.splice(0);
      try {
        await this.#pass();
        this.#failures = 0;
        this.#trouble = undefined;
        this.#retry.reset();
        this.#logPaths();
        this.#later(CHECK_MS * (0.75 + this.#options.rng.next() / 2));
        for (const resolve of waiting) resolve();
      } catch (error) {
        // What is there may be other than what was thought: a flushed rule set, a transaction cut off. It is read, and the difference made.
        this.#there = undefined;
        if (++this.#failures === 1) {
          this.#dirty = true;
          this.#waiting.unshift(...waiting);
        } else if (await this.#retreat(error)) {
          for (const resolve of waiting) resolve();
        }
      }
    }
  }

  async #pass(): Promise<void> {
    const { system, portOffset, problemOf } = this.#options;
    const routes = this.#routes;
    const nodeId = this.#nodeId;
    const layout = this.#layout;
    if (nodeId !== '') this.#there ??= await this.#read(layout);
    const there = this.#there ?? { kind: 'absent' };
    const before = there.kind === 'known' ? there.rules : NO_RULES;
    if (routes.length === 0 && there.kind === 'absent') {
      this.#prober.watch(new Map());
      this.#paths = new Map();
      return;
    }
    const views = this.#views.all(routes);
    const obstacles = await this.#obstaclesTo(views);
    this.#watchNodes(views);
    const ground = { nodeId, portOffset, obstacles, dead: this.#prober.dead() };
    const { rules, paths } = this.#planner.plan({ ground, views, before, problemOf, bridgeOf: system.bridges() });
    if (there.kind === 'absent' && rules.ports.size === 0) {
      this.#paths = paths;
      return;
    }
    this.#holds.expect(this.#places(views));
    const script = scriptOf(layout, there.kind === 'known' ? before : undefined, rules);
    if (script !== '') await system.run('nft', ['-f', '-'], script);
    this.#there = { kind: 'known', rules };
    this.#paths = paths;
    this.#holds.mapped(() => keysOf(rules));
    await this.#stale.update(before, reachableDatagramTargets(views, ground.dead));
  }

  async #read(layout: Layout): Promise<Listing> {
    const { run } = this.#options.system;
    let json: string;
    try {
      json = await run('nft', ['-j', 'list', 'table', 'inet', layout.table]);
    } catch (error) {
      if (messageOf(error).includes('No such file or directory')) return { kind: 'absent' };
      // Without the program, and nothing to do for it, there is nothing to complain about.
      if (this.#routes.length === 0 && ShoalError.from(error).code !== 'deadline_exceeded') return { kind: 'absent' };
      throw error;
    }
    const rules = rulesOf(layout, json);
    return rules === undefined ? { kind: 'unknown' } : { kind: 'known', rules };
  }

  /** Tasks that were held once stay so for as long as any route names them. */
  *#places(views: readonly RouteView[]): Generator<HeldPlace> {
    for (const { endpoints } of views) {
      for (const { target, flow, draining } of endpoints) yield { taskId: target.taskId, flow, draining };
    }
    for (const route of this.#table?.ports.values() ?? []) {
      if (whyProxy(route) === undefined) continue;
      for (const { taskId, state } of route.targets) {
        if (this.#holds.has(taskId)) yield { taskId, flow: undefined, draining: state === TargetState.TARGET_DRAINING };
      }
    }
  }

  async #obstaclesTo(views: readonly RouteView[]): Promise<ReadonlyMap<Family | 'udp', string>> {
    const families = new Set(views.flatMap((view) => [...view.families]));
    const datagrams = views.some(({ transport }) => transport === 'udp');
    const asked = [...families, datagrams].join(' ');
    if (this.#obstacles !== undefined && asked === this.#asked) return this.#obstacles;
    const { system } = this.#options;
    const obstacles = new Map<Family | 'udp', string>();
    const forwarding = system.forwarding(tableName(this.#nodeId));
    for (const family of families) {
      const obstacle = await forwarding.prepare(family);
      if (obstacle !== undefined) obstacles.set(family, obstacle);
    }
    if (datagrams) {
      await system.run('conntrack', ['--version']).catch((error: unknown) => {
        obstacles.set('udp', `flows of a replica that is gone could not be moved: ${messageOf(error)}`);
      });
    }
    this.#obstacles = obstacles;
    this.#asked = asked;
    return obstacles;
  }

  #watchNodes(views: readonly RouteView[]): void {
    const nodes = new Map<string, number>();
    for (const { endpoints } of views) {
      for (const { host, port, local } of endpoints) {
        if (!local) nodes.set(host, port);
      }
    }
    this.#prober.watch(nodes);
  }

  /** The kernel cannot be brought to what it should hold: the listener takes over. False where not even that can be had. */
  async #retreat(error: unknown): Promise<boolean> {
    const { system, log } = this.#options;
    const reason = messageOf(error);
    if (this.#trouble !== reason) log.error('the kernel path is not available; published ports are served by the proxy', { reason });
    this.#trouble = reason;
    this.#obstacles = undefined;
    this.#later(this.#retry.nextMs());
    if (['unimplemented', 'permission_denied'].includes(ShoalError.from(error).code)) return true;
    try {
      await system.run('nft', ['-f', '-'], retreatScript(this.#layout));
    } catch (second) {
      if (!messageOf(second).includes('No such file or directory')) return false;
    }
    this.#holds.mapped(() => new Set());
    return true;
  }

  /** Looks again after so long, unless there is nothing to look at. */
  #later(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#stopped || (this.#routes.length === 0 && this.#trouble === undefined)) return;
    this.#timer = this.#options.clock.after(
      delayMs,
      () => {
        this.#timer = undefined;
        void this.#check();
      },
      true,
    );
  }

  async #check(): Promise<void> {
    const { clock, system } = this.#options;
    // A program may have been installed, a setting changed, Docker started.
    this.#obstacles = undefined;
    if (this.#there?.kind !== 'known') {
      this.#kick();
      return;
    }
    const begunMs = clock.nowMs();
    try {
      const counters = countersOf(await system.run('nft', ['-j', 'list', 'counters', 'table', 'inet', this.#layout.table]));
      this.#counters = this.#named(counters, this.#there.rules);
    } catch {
      this.#there = undefined;
    }
    this.#kick();
    await this.#running;
    if (this.#trouble === undefined) this.#later(Math.max(CHECK_MS, (clock.nowMs() - begunMs) / CHECK_SHARE));
  }

  /** One line for each reason that is new. */
  #logPaths(): void {
    const byReason = new Map<string, number[]>();
    for (const { publishedPort, path, reason } of this.#paths.values()) {
      if (path !== DataPath.PATH_PROXY) continue;
      byReason.set(reason, [...(byReason.get(reason) ?? []), publishedPort]);
    }
    for (const [reason, ports] of byReason) {
      if (this.#logged.has(reason)) continue;
      this.#options.log.warn('ports that ask for the kernel path are served by the proxy', {
        ports: ports.slice(0, MAX_PORTS_LOGGED),
        reason,
      });
    }
    this.#logged = new Set(byReason.keys());
  }

  #named(counters: ReadonlyMap<string, number>, { ports }: Rules): readonly KernelCounter[] {
    return [...ports.values()].map(({ transport, port }) => ({
      transport,
      publishedPort: port - this.#options.portOffset,
      connections: counters.get(portName({ transport, port })) ?? 0,
    }));
  }
}

/** By `addressKey`. */
function reachableDatagramTargets(views: readonly RouteView[], dead: ReadonlySet<string>): ReadonlyMap<string, Endpoint> {
  const targets = new Map<string, Endpoint>();
  for (const { endpoints } of views.filter(({ transport }) => transport === 'udp')) {
    for (const endpoint of endpoints) {
      if (endpoint.local || !dead.has(endpoint.host)) targets.set(endpoint.address, endpoint);
    }
  }
  return targets;
}
