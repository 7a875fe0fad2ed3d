// What the leader holds against nodes: those that are down but whose tasks are not replaced yet (the eviction delay, or so many lost together that the
// network is the likelier cause), and those that came back too often lately to get anything new. Kept as one row, so that the next leader, the API and
// the reconcilers see the same; delays begin anew with a new leader, for monotonic time does not pass between processes.
import type { Clock } from '../../lib/clock.ts';
import {
  type ClusterSettings,
  type EvictedNode,
  HoldReason,
  NodeState,
  NodeWatch,
  type Event,
  type HeldNode,
  type UnsettledNode,
} from '../../proto/index.ts';
import type { WriteGroup } from '../orchestrator/plan.ts';
import { type Change, hasEvictionOrder, type StateView, type TableName } from '../state/index.ts';

/** semantics.md: so many, and such a share, silent within this time. */
const MASS_LOSS_WINDOW_MS = 10_000;
const MASS_LOSS_LEAST_NODES = 3;
const MASS_LOSS_PERCENT = 55;
const MASS_LOSS_HOLD_MS = 60_000;
/** A node that came back so often within the window is flapping; it settles in the base time, doubled for each further return, up to the cap. */
const FLAP_WINDOW_MS = 600_000;
const FLAP_RETURNS = 3;
const SETTLE_BASE_MS = 30_000;
const SETTLE_CAP_MS = 600_000;

const CONCERNED: ReadonlySet<TableName> = new Set<TableName>(['nodeStatus', 'nodes', 'sessions', 'cluster', 'nodeWatch']);

interface DownNode {
  readonly sinceMs: number;
  readonly nonce: string;
  /** Its tasks are being replaced: nothing holds them any more. The stored row says so. */
  evicted: boolean;
  /** It shall be evicted. Until that is stored, another one that goes may make it part of a mass loss. */
  isLeaving: boolean;
  /** Of the loss that goes on: it counts to it for as long as that lasts, evicted or not. */
  isPart: boolean;
  /** It was lost with most others: its hold stands until then even if they come back first, for it is likely to follow them. */
  massUntilMs: number | undefined;
}

interface ReturnedNode {
  readonly timesMs: number[];
  unsettledUntilMs: number;
  settleMs: number;
}

export class NodeWatchBook {
  readonly #state: StateView;
  readonly #clock: Clock;
  readonly #down = new Map<string, DownNode>();
  readonly #returned = new Map<string, ReturnedNode>();
  /** While most nodes are lost: until when those that go now are held. */
  #massUntilMs: number | undefined;
  #wakeAtMs: number | undefined = 0;

  constructor(state: StateView, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
    const nowMs = clock.nowMs();
    const before = state.get('nodeWatch', '')?.value;
    const evicted = new Map(before?.evicted.map((node) => [node.nodeId, node.sessionNonce]));
    const recent = new Set(before?.evicted.filter((node) => node.recent).map((node) => node.nodeId));
    const heldWithMost = new Set(before?.held.filter((node) => node.reason === HoldReason.HOLD_MASS_LOSS).map((node) => node.nodeId));
    const isMassive = heldWithMost.size > 0;
    const massUntilMs = isMassive ? nowMs + this.#settings().holdMs : undefined;
    for (const { id, value } of state.all('nodeStatus')) {
      if (value.state !== NodeState.NODE_DOWN) continue;
      const nonce = this.#nonceOf(id);
      // What fell silent while nobody led is judged now, as if it had just gone.
      const isEvicted = evicted.get(id) === nonce;
      this.#down.set(id, {
        sinceMs: isEvicted && !recent.has(id) ? Number.NEGATIVE_INFINITY : nowMs,
        nonce,
        evicted: isEvicted,
        isLeaving: false,
        isPart: isMassive,
        massUntilMs: heldWithMost.has(id) ? massUntilMs : undefined,
      });
    }
    this.#massUntilMs = massUntilMs;
    for (const { nodeId, returns, settleMs } of before?.unsettled ?? []) {
      this.#returned.set(nodeId, { timesMs: Array.from({ length: returns }, () => nowMs), unsettledUntilMs: nowMs + settleMs, settleMs });
    }
  }

  /** When `plan` may have something to say (monotonic); undefined: not before something changes. */
  get wakeAtMs(): number | undefined {
    return this.#wakeAtMs;
  }

  note(changes: readonly Change[]): void {
    for (const change of changes) {
      if (CONCERNED.has(change.table)) this.#wakeAtMs = 0;
      if (change.table === 'nodes' && change.after === undefined) this.#returned.delete(change.id);
      if (change.table !== 'nodeStatus') continue;
      const isDown = change.after?.value.state === NodeState.NODE_DOWN;
      if (isDown && !this.#down.has(change.id)) {
        const [sinceMs, nonce] = [this.#clock.nowMs(), this.#nonceOf(change.id)];
        this.#down.set(change.id, { sinceMs, nonce, evicted: false, isLeaving: false, isPart: false, massUntilMs: undefined });
      } else if (!isDown && this.#down.delete(change.id) && change.after?.value.state === NodeState.NODE_READY) this.#noteReturn(change.id);
    }
  }

  /** What was planned did not get into the store. */
  retry(): void {
    this.#wakeAtMs = 0;
  }

  /** The row as it shall be, if that is not what it is. */
  plan(): WriteGroup | undefined {
    if (this.#clock.nowMs() < (this.#wakeAtMs ?? Infinity)) return undefined;
    this.#wakeAtMs = undefined;
    const before = this.#state.get('nodeWatch', '');
    const wallMs = this.#clock.wallMs();
    this.#noteStored(before?.value.evicted ?? []);
    const held = this.#held(before?.value.held ?? [], wallMs);
    const unsettled = this.#unsettled(before?.value.unsettled ?? [], wallMs);
    const evicted = this.#evicted();
    const isSame =
      sameNodes(
        before?.value.evicted ?? [],
        evicted,
        (one, other) => one.sessionNonce === other.sessionNonce && one.recent === other.recent,
      ) &&
      sameNodes(before?.value.held ?? [], held, (one, other) => one.sessionNonce === other.sessionNonce && one.reason === other.reason) &&
      sameNodes(before?.value.unsettled ?? [], unsettled, (one, other) => one.returns === other.returns);
    if (isSame) return undefined;
    const value = NodeWatch.create({ held, unsettled, evicted });
    return {
      serviceId: '',
      writes: [{ kind: 'put', table: 'nodeWatch', id: '', value, before }],
      requires: [],
      events: this.#events(before?.value ?? NodeWatch.create(), value, wallMs),
    };
  }

  #noteStored(stored: readonly EvictedNode[]): void {
    const nonces = new Map(stored.map((node) => [node.nodeId, node.sessionNonce]));
    for (const [id, down] of this.#down) {
      if (!down.isLeaving) continue;
      down.isLeaving = false;
      down.evicted = nonces.get(id) === down.nonce;
    }
  }

  #held(before: readonly HeldNode[], wallMs: number): HeldNode[] {
    const nowMs = this.#clock.nowMs();
    const { delayMs } = this.#settings();
    this.#judgeMassLoss(nowMs);
    const held: HeldNode[] = [];
    for (const [nodeId, down] of [...this.#down].sort(byKey)) {
      if (down.evicted) continue;
      const leftMs = Math.max(down.sinceMs + delayMs, down.massUntilMs ?? 0) - nowMs;
      if (leftMs <= 0 || hasEvictionOrder(this.#state, nodeId) || this.#state.get('nodes', nodeId) === undefined) {
        down.isLeaving = true;
        continue;
      }
      this.#wakeIn(leftMs);
      const reason = nowMs < (down.massUntilMs ?? 0) ? HoldReason.HOLD_MASS_LOSS : HoldReason.HOLD_DELAY;
      const since = before.find((node) => node.nodeId === nodeId && node.sessionNonce === down.nonce);
      held.push({ nodeId, sessionNonce: down.nonce, reason, sinceUnixMs: since?.sinceUnixMs ?? wallMs });
    }
    return held;
  }

  #evicted(): EvictedNode[] {
    const evicted: EvictedNode[] = [];
    for (const [nodeId, down] of [...this.#down].sort(byKey)) {
      if (!(down.evicted || down.isLeaving) || this.#state.get('nodes', nodeId) === undefined) continue;
      const leftMs = down.sinceMs + MASS_LOSS_WINDOW_MS - this.#clock.nowMs();
      const recent = leftMs >= 0;
      if (recent) this.#wakeIn(leftMs + 1);
      evicted.push({ nodeId, sessionNonce: down.nonce, recent });
    }
    return evicted;
  }

  /** Begins a loss, and ends one whose hold is over, or that enough nodes have come back from; who is held by it stays so until its time. */
  #judgeMassLoss(nowMs: number): void {
    const { percent, holdMs } = this.#settings();
    if ([...this.#down.values()].every((down) => down.evicted)) {
      this.#massUntilMs = undefined;
      return;
    }
    if (this.#massUntilMs !== undefined && nowMs >= this.#massUntilMs) {
      this.#massUntilMs = undefined;
      return;
    }
    let lost = 0;
    let present = 0;
    for (const { id, value } of this.#state.all('nodeStatus')) {
      // Also those that were evicted before the others fell silent.
      const isLost = this.#isPartOfLoss(this.#down.get(id), nowMs);
      // Those that are quiet count once one is down: they fell silent with it.
      if (isLost || (value.state === NodeState.NODE_READY && value.silent)) lost++;
      else if (value.state === NodeState.NODE_READY) present++;
    }
    const isMassive = lost + present >= MASS_LOSS_LEAST_NODES && lost * 100 >= percent * (lost + present);
    if (!isMassive || holdMs === 0) {
      this.#massUntilMs = undefined;
      return;
    }
    if (this.#massUntilMs === undefined) {
      for (const down of this.#down.values()) down.isPart = nowMs - down.sinceMs <= MASS_LOSS_WINDOW_MS;
    }
    this.#massUntilMs ??= nowMs + holdMs;
    for (const down of this.#down.values()) if (!down.evicted) down.massUntilMs ??= this.#massUntilMs;
  }

  #isPartOfLoss(down: DownNode | undefined, nowMs: number): boolean {
    if (down === undefined) return false;
    return this.#massUntilMs === undefined ? nowMs - down.sinceMs <= MASS_LOSS_WINDOW_MS : down.isPart || !down.evicted;
  }

  #noteReturn(nodeId: string): void {
    const nowMs = this.#clock.nowMs();
    const returned = this.#returned.get(nodeId) ?? { timesMs: [], unsettledUntilMs: 0, settleMs: 0 };
    const timesMs = [...returned.timesMs.filter((timeMs) => nowMs - timeMs < FLAP_WINDOW_MS), nowMs];
    const beyond = timesMs.length - FLAP_RETURNS;
    const settleMs = beyond < 0 ? 0 : Math.min(SETTLE_CAP_MS, SETTLE_BASE_MS * 2 ** beyond);
    this.#returned.set(nodeId, { timesMs, settleMs, unsettledUntilMs: nowMs + settleMs });
  }

  #unsettled(before: readonly UnsettledNode[], wallMs: number): UnsettledNode[] {
    const nowMs = this.#clock.nowMs();
    const unsettled: UnsettledNode[] = [];
    for (const [nodeId, { timesMs, unsettledUntilMs, settleMs }] of [...this.#returned].sort(byKey)) {
      const leftMs = unsettledUntilMs - nowMs;
      if (leftMs <= 0) {
        if (nowMs - (timesMs.at(-1) ?? 0) >= FLAP_WINDOW_MS) this.#returned.delete(nodeId);
        continue;
      }
      this.#wakeIn(leftMs);
      const since = before.find((node) => node.nodeId === nodeId && node.returns === timesMs.length);
      unsettled.push({ nodeId, returns: timesMs.length, settleMs, sinceUnixMs: since?.sinceUnixMs ?? wallMs });
    }
    return unsettled;
  }

  #events(before: NodeWatch, after: NodeWatch, wallMs: number): Event[] {
    const events: Event[] = [];
    const say = (nodeId: string, action: string, message: string): void => {
      const objectName = this.#state.get('nodeStatus', nodeId)?.value.description?.hostname ?? nodeId;
      events.push({ timeUnixMs: wallMs, type: 'node', action, objectId: nodeId, objectName, message, attributes: {} });
    };
    for (const node of after.held) {
      if (before.held.some((other) => other.nodeId === node.nodeId && other.reason === node.reason)) continue;
      say(node.nodeId, 'hold', holdMessage(node.reason));
    }
    for (const { nodeId } of before.held) {
      if (!after.held.some((other) => other.nodeId === nodeId) && this.#down.has(nodeId))
        say(nodeId, 'evict', 'its tasks are replaced now');
    }
    for (const { nodeId, returns, settleMs } of after.unsettled) {
      if (before.unsettled.some((other) => other.nodeId === nodeId && other.returns === returns)) continue;
      say(nodeId, 'unsettled', `came back ${returns} times lately: it gets no new tasks until it has stayed up for ${settleMs / 1000} s`);
    }
    return events;
  }

  #settings(): { readonly delayMs: number; readonly percent: number; readonly holdMs: number } {
    const settings: Partial<ClusterSettings> = this.#state.get('cluster', '')?.value.settings ?? {};
    return {
      delayMs: settings.evictionDelayMs ?? 0,
      percent: settings.massLossPercent ?? MASS_LOSS_PERCENT,
      holdMs: settings.massLossHoldMs ?? MASS_LOSS_HOLD_MS,
    };
  }

  #nonceOf(nodeId: string): string {
    return this.#state.get('sessions', nodeId)?.value.nonce ?? '';
  }

  #wakeIn(ms: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs ?? Infinity, this.#clock.nowMs() + ms);
  }
}

function holdMessage(reason: HoldReason): string {
  return reason === HoldReason.HOLD_MASS_LOSS
    ? 'down together with most other nodes, so the network is the likelier cause: its tasks are not replaced yet (shoal node evict does it at once)'
    : 'down: its tasks are replaced after the eviction delay (shoal node evict does it at once)';
}

function byKey([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1;
}

function sameNodes<T extends { readonly nodeId: string }>(
  before: readonly T[],
  after: readonly T[],
  isSame: (one: T, other: T) => boolean,
): boolean {
  return before.length === after.length && before.every((node, at) => node.nodeId === after[at]?.nodeId && isSame(node, after[at]));
}
