// What could be better though nothing is wrong: uneven placement, and preferences that come to nothing.
import { Finding, RebalanceState, ServiceMode } from '../../proto/index.ts';
import { matchesConstraint, nodeValue, parseAffinityTarget, parseSpread } from '../constraint/index.ts';
import { betterPlace } from '../scheduler/index.ts';
import type { Inventory, NodeEntry } from '../scheduler/inventory.ts';
import type { ServiceScene } from './service-scene.ts';

/** `isAtRest`: every task is where it should be, and nothing is under way. */
export function adviceFor(scene: ServiceScene, inventory: Inventory, isAtRest: boolean, nowMs: number): readonly Finding[] {
  const rebalance = scene.status?.rebalance;
  if (rebalance?.state === RebalanceState.REBALANCING) {
    const reason = `rebalancing: ${rebalance.moved} moved, ${rebalance.message}`;
    return [Finding.create({ kind: 'rebalancing', reason, sinceUnixMs: rebalance.startedUnixMs }), ...idlePreferences(scene, inventory)];
  }
  return [...(isAtRest ? uneven(scene, inventory, nowMs) : []), ...idlePreferences(scene, inventory)];
}

function uneven(
  { service, spec, specNumber, filled, name, status }: ServiceScene,
  inventory: Inventory,
  nowMs: number,
): readonly Finding[] {
  if (spec.mode !== ServiceMode.REPLICATED) return [];
  const movable = new Map<string, string[]>();
  for (const { holder } of filled) {
    if (holder?.isUp === true) movable.set(holder.task.nodeId, [...(movable.get(holder.task.nodeId) ?? []), holder.row.id]);
  }
  const better = betterPlace(inventory, { serviceId: service.id, specNumber, spec, movable }, nowMs);
  if (better === undefined) return [];
  const before = status?.rebalance;
  const last = before?.state === RebalanceState.REBALANCE_STOPPED ? `; the last rebalancing was stopped: ${before.message}` : '';
  const wayOut = `\`shoal service rebalance ${name}\` moves its tasks, one at a time; --plan shows which`;
  return [Finding.create({ kind: 'uneven', reason: `its tasks could be placed better: ${better.why}${last}`, wayOut })];
}

function idlePreferences({ spec, view }: ServiceScene, inventory: Inventory): readonly Finding[] {
  const placement = spec.task?.placement;
  const nodes = [...inventory.nodes()].filter(({ node }) => node !== undefined);
  if (placement === undefined || nodes.length === 0) return [];
  const found: Finding[] = [];
  for (const text of placement.spread) {
    const parsed = parseSpread(text);
    const hasValue = ({ node, status }: NodeEntry): boolean =>
      parsed.ok && node !== undefined && (nodeValue(parsed.key, node, status) ?? '') !== '';
    if (!parsed.ok || nodes.some(hasValue)) continue;
    found.push(idle(`no node has ${text}, so spreading over it changes nothing`, labelling(text)));
  }
  for (const { target: text } of placement.affinities) {
    const parsed = parseAffinityTarget(text);
    if (!parsed.ok) continue;
    const { target } = parsed;
    if (target.kind === 'service') {
      const isThere = view.get('services', inventory.serviceIdOf(target.service)) !== undefined;
      if (!isThere)
        found.push(
          idle(`there is no service ${target.service}, so the affinity to it changes nothing`, 'create it, or remove the preference'),
        );
    } else if (!nodes.some(({ node, status }) => node !== undefined && matchesConstraint(target.constraint, node, status))) {
      found.push(idle(`no node meets ${text}, so the affinity to it changes nothing`, labelling(text)));
    }
  }
  return found;
}

function idle(reason: string, wayOut: string): Finding {
  return Finding.create({ kind: 'idle-preference', reason, wayOut });
}

function labelling(text: string): string {
  const [, label] = /^node\.labels\.([^\s=!]+)/.exec(text) ?? [];
  return label === undefined ? 'remove the preference' : `label nodes: \`shoal node update --label-add ${label}=VALUE NODE\``;
}
