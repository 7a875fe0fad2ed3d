// For a task that no node takes: each node with all that rules it out, the nearest to taking it first.
import { ConsideredNode, type PortSpec, type SmallestChange, type TaskSpec } from '../../proto/index.ts';
import type { Filter } from '../scheduler/filters.ts';
import type { Inventory, NodeEntry } from '../scheduler/inventory.ts';
import { type Hypothesis, refusalOf } from './hypothesis.ts';
import { stepFor } from './remedies.ts';
import { nameOf, type RemedyContext } from './step.ts';

export interface Candidate {
  readonly serviceId: string;
  readonly spec: TaskSpec;
  readonly ports: readonly PortSpec[];
  /** The only node that will do; empty: any. */
  readonly nodeId: string;
}

/** More in the way of one node than this is not plausible. */
const MAX_STEPS = 50;
const MAX_NODES = 50;

export interface Consideration {
  readonly nodes: readonly ConsideredNode[];
  readonly more: number;
}

export function considerNodes(inventory: Inventory, candidate: Candidate, context: RemedyContext): Consideration {
  const copies = inventory.nodesOfService(candidate.serviceId);
  const entries =
    candidate.nodeId === '' ? [...inventory.nodes()] : [inventory.entryOf(candidate.nodeId)].filter((entry) => entry !== undefined);
  const judged = entries.map((entry) => judge(entry, candidate, copies?.get(entry) ?? 0, context));
  judged.sort((one, other) => one.effort - other.effort || (one.node.hostname < other.node.hostname ? -1 : 1));
  return { nodes: judged.slice(0, MAX_NODES).map(({ node }) => node), more: Math.max(0, judged.length - MAX_NODES) };
}

function judge(
  entry: NodeEntry,
  { spec, ports }: Candidate,
  copies: number,
  context: RemedyContext,
): { readonly node: ConsideredNode; readonly effort: number } {
  let hypothesis: Hypothesis | undefined = { entry, spec, ports, copies };
  const refusals: ConsideredNode['refusals'][number][] = [];
  let effort = 0;
  let last: Filter | undefined;
  for (let steps = 0; hypothesis !== undefined && steps < MAX_STEPS; steps++) {
    const filter: Filter | undefined = refusalOf(hypothesis);
    if (filter === undefined) break;
    const { reason, remedy } = stepFor(filter, hypothesis, context);
    // A change that does not get past the filter is none.
    const isStuck = last === filter && refusals.at(-1)?.reason === reason;
    if (!isStuck) refusals.push({ filter, reason, change: remedy?.change });
    effort += remedy === undefined || isStuck ? HOPELESS : effortOf(remedy.change, spec);
    last = filter;
    hypothesis = isStuck ? undefined : remedy?.next;
  }
  const canBeMadeToFit = hypothesis !== undefined && refusalOf(hypothesis) === undefined;
  return { node: ConsideredNode.create({ nodeId: entry.id, hostname: nameOf({ entry }), refusals, canBeMadeToFit }), effort };
}

const HOPELESS = 1e6;
/** The least that somebody has to do comes first. */
const EFFORT: Readonly<Record<string, number>> = {
  'set-label': 10,
  'remove-label': 10,
  activate: 11,
  'raise-max-replicas': 12,
  'free-resources': 13,
  'free-port': 15,
  'drop-constraint': 18,
  settle: 20,
  'start-node': 40,
  'repair-engine': 40,
  'install-plugin': 50,
  'change-runtime': 60,
};

function effortOf(change: SmallestChange, { reservations }: TaskSpec): number {
  const share = (missing: number, wanted: number | undefined): number => (wanted === undefined || wanted === 0 ? 0 : missing / wanted);
  const memory = (reservations?.memoryBytes ?? 0) - change.fittingMemoryBytes;
  const cpus = (reservations?.nanoCpus ?? 0) - change.fittingNanoCpus;
  const lacking = change.kind === 'free-resources' ? share(memory, reservations?.memoryBytes) + share(cpus, reservations?.nanoCpus) : 0;
  return (EFFORT[change.kind] ?? HOPELESS) + lacking;
}
