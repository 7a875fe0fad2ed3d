// One node, and one task that might go there, as they are or as they would be after a change. The scheduler itself is asked about both.
import type { Node, NodeStatus, PortSpec, TaskSpec } from '../../proto/index.ts';
import { type Filter, refusal } from '../scheduler/filters.ts';
import { Inventory, type NodeEntry } from '../scheduler/inventory.ts';
import { shapeOf } from '../scheduler/shape.ts';

export interface Hypothesis {
  readonly entry: NodeEntry;
  readonly spec: TaskSpec;
  readonly ports: readonly PortSpec[];
  /** Active tasks of the service on the node. */
  readonly copies: number;
}

/** The first of the scheduler's filters that refuses; undefined: it takes the task. */
export function refusalOf({ entry, spec, ports, copies }: Hypothesis): Filter | undefined {
  return refusal(shapeOf(spec, ports), entry, copies);
}

/** With another node or status; what is on the node stays. */
export function withNode(hypothesis: Hypothesis, node: Node, status: NodeStatus | undefined): Hypothesis {
  const { entry } = hypothesis;
  // The inventory says which nodes are usable.
  const alone = new Inventory();
  alone.putNode(node, status);
  return { ...hypothesis, entry: { ...entry, node, status, usable: alone.entryOf(node.id)?.usable ?? false } };
}

export function withEntry(hypothesis: Hypothesis, changes: Partial<NodeEntry>): Hypothesis {
  return { ...hypothesis, entry: { ...hypothesis.entry, ...changes } };
}
