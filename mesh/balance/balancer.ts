// Chooses the replica for each new connection of one published port: the less loaded of two drawn at random, the node's own one on a tie.
// Pure but for its counts: time comes from the Clock, chance from the Rng, and whoever uses a target says when it opens, closes, fails and answers.
import { type Clock } from '../../lib/clock.ts';
import { type Rng } from '../../lib/rng.ts';
import { type RouteTarget, TargetState } from '../../proto/index.ts';
import { afterFailure, HEALTHY, type Health } from './ejection.ts';

/** One replica as the balancer sees it. Kept by whoever uses it, also after it has left the table. */
export interface Replica {
  readonly taskId: string;
  /** Where it is reached from this node. */
  host: string;
  port: number;
  /** On this node. */
  local: boolean;
  /** At least 1. */
  weight: number;
  /** Connections to it through this port, opening ones included. */
  open: number;
  /** Of the version that is tried on a share of the clients. */
  canary: boolean;
  health: Health;
}

export interface BalancerOptions {
  readonly clock: Clock;
  readonly rng: Rng;
}

export class Balancer {
  readonly #clock: Clock;
  readonly #rng: Rng;
  /** Those that take new connections. */
  #active: Replica[] = [];
  /** Those that take none, but may have some. */
  #draining: Replica[] = [];
  #totalWeight = 0;
  /** Of 1,000 choices so many fall on canaries; undefined where all replicas are of one kind. */
  #canaryPermille: number | undefined;
  /** What the canaries have coming, in thousandths of a choice. */
  #canaryCredit = 0;
  /** No replica has been put out since all were last seen healthy: the choice needs no look at the clock. */
  #allWell = true;

  constructor(options: BalancerOptions) {
    this.#clock = options.clock;
    this.#rng = options.rng;
  }

  /** Takes the targets of a new table; a replica that stays keeps its counts and its health. */
  update(targets: readonly RouteTarget[], nodeId: string, canaryPermille = 0): void {
    const known = new Map(this.replicas().map((replica) => [replica.taskId, replica]));
    this.#active = [];
    this.#draining = [];
    for (const target of targets) {
      const address = addressOf(target, nodeId);
      if (address === undefined) continue;
      const now = {
        ...address,
        canary: target.canary,
        weight: Math.max(1, target.weight),
        local: target.nodeId === nodeId && nodeId !== '',
      };
      const old = known.get(target.taskId);
      const replica = old === undefined ? { taskId: target.taskId, ...now, open: 0, health: HEALTHY } : Object.assign(old, now);
      (target.state === TargetState.TARGET_ACTIVE ? this.#active : this.#draining).push(replica);
    }
    this.#totalWeight = this.#active.reduce((sum, replica) => sum + replica.weight, 0);
    const canaries = this.#active.filter((replica) => replica.canary).length;
    this.#canaryPermille = canaries === 0 || canaries === this.#active.length ? undefined : Math.min(1000, canaryPermille);
  }

  /** How many take new connections, whether they answer or not. */
  get size(): number {
    return this.#active.length;
  }

  /** All of the table that have an address, draining ones too. */
  replicas(): readonly Replica[] {
    return [...this.#active, ...this.#draining];
  }

  /** The replica of this task, if it takes new connections and is not put out. */
  healthy(taskId: string): Replica | undefined {
    const replica = this.#active.find((each) => each.taskId === taskId);
    return replica !== undefined && replica.health.ejectedUntilMs <= this.#clock.nowMs() ? replica : undefined;
  }

  /** Undefined: none is left that was not tried. Replicas that are put out come only when no other is left to try. */
  choose(tried?: ReadonlySet<string>): Replica | undefined {
    if (this.#allWell && tried === undefined && this.#canaryPermille === undefined) return this.#better(this.#active, this.#totalWeight);
    const nowMs = this.#clock.nowMs();
    const untried = tried === undefined ? this.#active : this.#active.filter((replica) => !tried.has(replica.taskId));
    const healthy = untried.filter((replica) => replica.health.ejectedUntilMs <= nowMs);
    const field = this.#kindOf(healthy.length > 0 ? healthy : untried, tried);
    return this.#better(
      field,
      field.reduce((sum, replica) => sum + replica.weight, 0),
    );
  }

  /** It could not be connected to, or closed the connection before a byte went either way. */
  failed(replica: Replica): void {
    replica.health = afterFailure(replica.health, this.#clock.nowMs(), this.#rng);
    this.#allWell = false;
  }

  /** It answered. */
  succeeded(replica: Replica): void {
    if (replica.health === HEALTHY) return;
    replica.health = HEALTHY;
    this.#allWell = this.#active.every((other) => other.health === HEALTHY);
  }

  /** The canaries of the field, or the others: in turns, and for the rest of a search as its first choice was. All of it where it has none of that kind. */
  #kindOf(field: readonly Replica[], tried: ReadonlySet<string> | undefined): readonly Replica[] {
    if (this.#canaryPermille === undefined) return field;
    const [first] = tried ?? [];
    const canary =
      first === undefined ? this.#canarysTurn(this.#canaryPermille) : this.#active.some((each) => each.canary && each.taskId === first);
    const kind = field.filter((replica) => replica.canary === canary);
    return kind.length > 0 ? kind : field;
  }

  /** Evenly spread, for a share drawn by chance would miss by more than a small service sees in a day. */
  #canarysTurn(permille: number): boolean {
    this.#canaryCredit += permille;
    if (this.#canaryCredit < 1000) return false;
    this.#canaryCredit -= 1000;
    return true;
  }

  #better(field: readonly Replica[], totalWeight: number): Replica | undefined {
    if (field.length < 2) return field[0];
    const first = this.#draw(field, totalWeight, undefined);
    const second = this.#draw(field, totalWeight, first);
    if (first === undefined || second === undefined) return first ?? second;
    const difference = first.open / first.weight - second.open / second.weight;
    if (difference !== 0) return difference < 0 ? first : second;
    return second.local && !first.local ? second : first;
  }

  /** One at random by weight, `except` that one. */
  #draw(field: readonly Replica[], totalWeight: number, except: Replica | undefined): Replica | undefined {
    let left = this.#rng.next() * (totalWeight - (except?.weight ?? 0));
    let last: Replica | undefined;
    for (const replica of field) {
      if (replica === except) continue;
      last = replica;
      left -= replica.weight;
      if (left < 0) return replica;
    }
    return last;
  }
}

/** On the task's own node the container's address, where it has one; elsewhere the node's. Undefined where the table gives none. */
export function addressOf(target: RouteTarget, nodeId: string): { readonly host: string; readonly port: number } | undefined {
  if (target.nodeId === nodeId && nodeId !== '' && target.containerAddress !== '' && isPort(target.containerPort)) {
    return { host: target.containerAddress, port: target.containerPort };
  }
  return target.nodeAddress !== '' && isPort(target.nodePort) ? { host: target.nodeAddress, port: target.nodePort } : undefined;
}

function isPort(port: number): boolean {
  return port > 0 && port < 65_536;
}
