// Reads back what a mesh of this node, perhaps one before this one, has put into the kernel. Whatever is not exactly as this version writes it is "not known".
import { type Layout, layoutName } from './script.ts';
import { addressKey, type PortRules, portName, type Rules, type Transport } from './rules.ts';

export type Listing =
  /** Nothing of ours is there. */
  | { readonly kind: 'absent' }
  /** A table of ours that is to be replaced. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'known'; readonly rules: Rules };

/** `json`: of `nft -j list table`. */
export function rulesOf(layout: Layout, json: string): Rules | undefined {
  const entries = entriesOf(json);
  if (entries === undefined || !entries.some(({ chain }) => chain?.['name'] === layoutName(layout))) return undefined;
  const elements = new Map<string, readonly unknown[]>();
  const rounds = new Map<string, number>();
  for (const { map, set, rule } of entries) {
    const held = map ?? set;
    if (held !== undefined) elements.set(String(held['name']), Array.isArray(held['elem']) ? held['elem'] : []);
    if (rule !== undefined) readRound(rule, rounds);
  }
  const ports = new Map<string, PortRules>();
  for (const { counter } of entries) {
    const label = counter?.['name'];
    const [, transport, port] = (typeof label === 'string' ? /^(tcp|udp)_(\d+)$/.exec(label) : undefined) ?? [];
    if (transport === undefined || port === undefined) continue;
    const name = portName({ transport: transport as Transport, port: Number(port) });
    const slots4 = slotsIn(elements.get(`${name}_4`), rounds.get(`@${name}_4`));
    const slots6 = slotsIn(elements.get(`${name}_6`), rounds.get(`@${name}_6`));
    if (slots4 === undefined || slots6 === undefined) return undefined;
    ports.set(name, { transport: transport as Transport, port: Number(port), slots4, slots6 });
  }
  const mapped = elements.get('ports') ?? [];
  if (mapped.length !== ports.size) return undefined;
  const textsOf = (set: string): string[] => (elements.get(set) ?? []).filter((element) => typeof element === 'string');
  return {
    ports,
    locals: new Set([...textsOf('locals4'), ...textsOf('locals6')]),
    bridges: new Set(textsOf('bridges')),
  };
}

/** Connections that each port has mapped, by `portName`. `json`: of `nft -j list counters`. */
export function countersOf(json: string): ReadonlyMap<string, number> {
  const counters = new Map<string, number>();
  for (const { counter } of entriesOf(json) ?? []) {
    if (counter !== undefined) counters.set(String(counter['name']), Number(counter['packets']));
  }
  return counters;
}

type Entry = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

function entriesOf(json: string): readonly Entry[] | undefined {
  try {
    const { nftables } = JSON.parse(json) as { readonly nftables?: unknown };
    return Array.isArray(nftables) ? (nftables as readonly Entry[]) : undefined;
  } catch {
    return undefined;
  }
}

interface Dnat {
  readonly dnat?: {
    readonly addr?: { readonly map?: { readonly key?: { readonly numgen?: { readonly mod?: number } }; readonly data?: string } };
  };
}

/** How many slots the rule walks, by its map. */
function readRound(rule: Readonly<Record<string, unknown>>, rounds: Map<string, number>): void {
  for (const statement of Array.isArray(rule['expr']) ? (rule['expr'] as readonly Dnat[]) : []) {
    const { data, key } = statement.dnat?.addr?.map ?? {};
    if (data !== undefined) rounds.set(data, key?.numgen?.mod ?? 0);
  }
}

/** Undefined where they are not 0 to n-1, walked by a rule of n. */
function slotsIn(elements: readonly unknown[] | undefined, round = 0): readonly string[] | undefined {
  if (elements?.length !== round) return undefined;
  const slots = new Map<number, string>();
  for (const element of elements) {
    const [index, value] = (Array.isArray(element) ? element : []) as readonly unknown[];
    const [host, port] = (value as { readonly concat?: readonly unknown[] } | undefined)?.concat ?? [];
    if (typeof index !== 'number' || typeof host !== 'string' || typeof port !== 'number') return undefined;
    slots.set(index, addressKey(host, port));
  }
  const inOrder = elements.map((_, index) => slots.get(index));
  return inOrder.every((slot) => slot !== undefined) ? inOrder : undefined;
}
