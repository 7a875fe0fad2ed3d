// What nft must do so that the kernel holds other rules than it does: one script, which nft applies as one transaction or not at all. Pure.
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { CONNECTION_MARK, type PortRules, portName, type Rules } from './rules.ts';

export interface Layout {
  readonly table: string;
  /** Canonical addresses that the mesh answers on; none: all of the node. */
  readonly listen: readonly string[];
}

/** `before`: undefined where it is not known what is there; then the table is made anew, without a moment between the old one and the new one. Empty: nothing to do. */
export function scriptOf(layout: Layout, before: Rules | undefined, after: Rules): string {
  const lines = before === undefined ? layoutLines(layout) : [];
  const { table } = layout;
  for (const [name, rules] of before?.ports ?? []) {
    if (!after.ports.has(name)) lines.push(...removalLines(table, rules));
  }
  // Before the ports: a connection must never be mapped to an address and masqueraded otherwise than it should be.
  const [locals4, locals6] = byFamily(after.locals);
  const [before4, before6] = byFamily(before?.locals ?? new Set());
  lines.push(...setLines(table, 'locals4', before4, locals4));
  lines.push(...setLines(table, 'locals6', before6, locals6));
  lines.push(...setLines(table, 'bridges', quoted(before?.bridges ?? new Set()), quoted(after.bridges)));
  for (const [name, rules] of after.ports) {
    const was = before?.ports.get(name);
    if (was !== rules) lines.push(...portLines(table, was, rules));
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** Sends all new connections to the mesh's listener; those that are mapped go on. */
export function retreatScript({ table }: Layout): string {
  return `flush map inet ${table} ports\n`;
}

/** Removes the table, whether or not it is there. */
export function removalScript(table: string): string {
  return `add table inet ${table}\ndelete table inet ${table}\n`;
}

/** Names the layout in the table itself: rules of another version, or for other addresses, are not changed but replaced. */
export function layoutName(layout: Layout): string {
  const text = [...tableLines(layout), ...chainLines(layout.table, { ...SAMPLE, slots4: [''], slots6: [''] })].join('\n');
  return `layout_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}

const SAMPLE: PortRules = { transport: 'tcp', port: 1, slots4: [], slots6: [] };
const MARK = `0x${CONNECTION_MARK.toString(16).padStart(8, '0')}`;

function layoutLines(layout: Layout): string[] {
  const { table } = layout;
  return [removalScript(table).trimEnd(), ...tableLines(layout), `add chain inet ${table} ${layoutName(layout)}`];
}

/**
 * Ours goes before the NAT of others (-100 and 100), so that a published port is not theirs first. Clients on the node and on its containers' bridges are
 * left to the listener: an answer to them would not pass the node's own stack, and reach them from an address that they never asked.
 */
function tableLines({ table, listen }: Layout): string[] {
  const [listen4, listen6] = byFamily(new Set(listen));
  const ours =
    listen.length === 0
      ? [`add rule inet ${table} prerouting fib daddr type != local return`]
      : [
          `add rule inet ${table} prerouting meta nfproto ipv4 ip daddr != { ${[...listen4, '0.0.0.0'].join(', ')} } return`,
          `add rule inet ${table} prerouting meta nfproto ipv6 ip6 daddr != { ${[...listen6, '::'].join(', ')} } return`,
        ];
  return [
    `add table inet ${table}`,
    `add map inet ${table} ports { type inet_proto . inet_service : verdict; }`,
    `add set inet ${table} locals4 { type ipv4_addr; }`,
    `add set inet ${table} locals6 { type ipv6_addr; }`,
    `add set inet ${table} bridges { type ifname; }`,
    `add chain inet ${table} prerouting { type nat hook prerouting priority -110; policy accept; }`,
    `add rule inet ${table} prerouting iifname "lo" return`,
    `add rule inet ${table} prerouting iifname @bridges return`,
    ...ours,
    `add rule inet ${table} prerouting meta l4proto . th dport vmap @ports`,
    `add chain inet ${table} postrouting { type nat hook postrouting priority 90; policy accept; }`,
    `add rule inet ${table} postrouting ct mark and ${MARK} == 0 return`,
    `add rule inet ${table} postrouting ip daddr @locals4 return`,
    `add rule inet ${table} postrouting ip6 daddr @locals6 return`,
    `add rule inet ${table} postrouting masquerade`,
  ];
}

function portLines(table: string, before: PortRules | undefined, after: PortRules): string[] {
  const name = portName(after);
  const lines: string[] = [];
  if (before === undefined) {
    lines.push(`add counter inet ${table} ${name}`);
    for (const [family, ip] of FAMILIES) {
      lines.push(`add map inet ${table} ${name}_${family} { typeof numgen inc mod 4294967295 : ${ip} daddr . ${after.transport} dport; }`);
    }
    lines.push(`add chain inet ${table} ${name}`);
  }
  lines.push(...slotLines(table, `${name}_4`, before?.slots4 ?? [], after.slots4));
  lines.push(...slotLines(table, `${name}_6`, before?.slots6 ?? [], after.slots6));
  if (before === undefined || before.slots4.length !== after.slots4.length || before.slots6.length !== after.slots6.length) {
    if (before !== undefined) lines.push(`flush chain inet ${table} ${name}`);
    lines.push(...chainLines(table, after));
  }
  if (before === undefined) lines.push(`add element inet ${table} ports { ${after.transport} . ${String(after.port)} : goto ${name} }`);
  return lines;
}

const FAMILIES = [
  ['4', 'ip'],
  ['6', 'ip6'],
] as const;

/**
 * A tcp connection that conntrack did not see begin is not a new one, but one of the listener's from before these rules: it must stay there.
 * A chain without slots lets everything through to the listener.
 */
function chainLines(table: string, rules: PortRules): string[] {
  const name = portName(rules);
  const { transport } = rules;
  const add = `add rule inet ${table} ${name}`;
  const lines = transport === 'tcp' ? [`${add} tcp flags & (fin | syn | rst | ack) != syn return`] : [];
  for (const [family, ip] of FAMILIES) {
    const { length } = family === '4' ? rules.slots4 : rules.slots6;
    if (length === 0) continue;
    lines.push(
      `${add} meta nfproto ipv${family} meta l4proto ${transport} counter name ${name} ct mark set ct mark or ${MARK} ` +
        `dnat ${ip} to numgen inc mod ${String(length)} map @${name}_${family}`,
    );
  }
  return lines;
}

function slotLines(table: string, map: string, before: readonly string[], after: readonly string[]): string[] {
  const removed: string[] = [];
  const added: string[] = [];
  for (let index = 0; index < Math.max(before.length, after.length); index++) {
    const was = before[index];
    const is = after[index];
    if (was === is) continue;
    if (was !== undefined) removed.push(`${String(index)} : ${was}`);
    if (is !== undefined) added.push(`${String(index)} : ${is}`);
  }
  return elementLines(table, map, removed, added);
}

function removalLines(table: string, rules: PortRules): string[] {
  const name = portName(rules);
  return [
    `delete element inet ${table} ports { ${rules.transport} . ${String(rules.port)} }`,
    `flush chain inet ${table} ${name}`,
    `delete chain inet ${table} ${name}`,
    `delete map inet ${table} ${name}_4`,
    `delete map inet ${table} ${name}_6`,
    `delete counter inet ${table} ${name}`,
  ];
}

function setLines(table: string, set: string, before: ReadonlySet<string>, after: ReadonlySet<string>): string[] {
  const removed = [...before].filter((element) => !after.has(element));
  const added = [...after].filter((element) => !before.has(element));
  return elementLines(table, set, removed, added);
}

function elementLines(table: string, set: string, removed: readonly string[], added: readonly string[]): string[] {
  const lines: string[] = [];
  if (removed.length > 0) lines.push(`delete element inet ${table} ${set} { ${removed.join(', ')} }`);
  if (added.length > 0) lines.push(`add element inet ${table} ${set} { ${added.join(', ')} }`);
  return lines;
}

function byFamily(addresses: ReadonlySet<string>): readonly [ReadonlySet<string>, ReadonlySet<string>] {
  const all = [...addresses];
  return [new Set(all.filter((address) => !isIPv6(address))), new Set(all.filter((address) => isIPv6(address)))];
}

function quoted(names: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...names].map((name) => `"${name}"`));
}
