// What a session makes of its node's status row. Each is applied to the row as it is at that moment, and answers undefined where nothing
// would change, so that a row is rewritten (and the routes get a new epoch) only for a reason.
import { type NodeDescription, NodeDescription as Description, NodeState, NodeStatus, type PortProblem } from '../../proto/index.ts';

export type NodeChange = (current: NodeStatus) => NodeStatus;

const MAX_PROBLEMS = 200;
/** With all problems, a row stays far below what one transaction holds. */
const MAX_TEXT = 256;

const MESH_DOWN = 'the mesh process does not run on this node';

export function nodeReady(wallMs: number): NodeChange {
  return (current) =>
    current.state === NodeState.NODE_READY ? current : { ...current, state: NodeState.NODE_READY, message: '', sinceUnixMs: wallMs };
}

export function nodeSilent(message: string, wallMs: number): NodeChange {
  return (current) =>
    current.state === NodeState.NODE_DOWN ? current : { ...current, state: NodeState.NODE_DOWN, message, sinceUnixMs: wallMs };
}

/** A warning of what may come: another node's silence is judged by how many are quiet with it. */
export function nodeQuiet(silent: boolean): NodeChange {
  return (current) => (current.silent === silent ? current : { ...current, silent });
}

export function nodeDescribed(description: NodeDescription, address: string): NodeChange {
  return (current) => {
    const same =
      current.address === address &&
      current.description !== undefined &&
      Buffer.compare(Description.encode(current.description), Description.encode(description)) === 0;
    return same ? current : { ...current, description, address };
  };
}

export function portsReported(problems: readonly PortProblem[]): NodeChange {
  const bounded = problems.slice(0, MAX_PROBLEMS).map((problem) => ({ ...problem, message: problem.message.slice(0, MAX_TEXT) }));
  return (current) => (sameProblems(current.portProblems, bounded) ? current : { ...current, portProblems: bounded });
}

/** The leader says that a mesh is unready which does not acknowledge; here, one whose process stays away; and that it is well again. */
export function meshReady(ready: boolean): NodeChange {
  return (current) => {
    const message = ready ? (current.message === MESH_DOWN ? '' : current.message) : MESH_DOWN;
    return current.meshUnready === !ready && current.message === message ? current : { ...current, meshUnready: !ready, message };
  };
}

/** As the writer takes it. */
export function onRow(nodeId: string, change: NodeChange): (current: NodeStatus | undefined) => NodeStatus | undefined {
  return (current) => {
    const next = change(current ?? NodeStatus.create({ nodeId }));
    return next === current ? undefined : next;
  };
}

function sameProblems(a: readonly PortProblem[], b: readonly PortProblem[]): boolean {
  return (
    a.length === b.length &&
    a.every((problem, i) => {
      const other = b[i];
      return problem.protocol === other?.protocol && problem.publishedPort === other.publishedPort && problem.message === other.message;
    })
  );
}
