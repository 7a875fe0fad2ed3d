// I4 and I8: an agent stops only what it was told to stop, whoever is down; it never acts on orders older than those it has, nor on another cluster's; its mesh
// begins with the last table on its disk, keeps serving it, and never goes back behind one that it has acknowledged.
import { type Epoch, RouteTable, TaskState } from '../../../proto/index.ts';
import type { Truth } from '../truth/truth.ts';

export function ordersAreFollowed(truth: Truth): void {
  truth.listen({
    stopAsked(container) {
      const { applied } = truth.nodeOf(container.host);
      const desired = applied.get(container.taskId);
      // A node that was removed ends what it ran (semantics: `node rm`).
      if (truth.mirror.get('nodes', container.nodeId) === undefined) return;
      if (desired === undefined || desired >= TaskState.SHUTDOWN || container.wasSick) return;
      truth.fail('I4', `${truth.describe(container)} is told to stop, and nobody ordered it`);
    },
    started(container) {
      const { applied } = truth.nodeOf(container.host);
      const desired = applied.get(container.taskId);
      if (desired === undefined) truth.fail('I8', `${truth.describe(container)} was started, and is not among its node's orders`);
    },
    applied(node, epoch, before) {
      const wrong = before === undefined ? undefined : orderOf(epoch, before);
      if (wrong !== undefined) truth.fail('I8', `${node.node.name} took orders ${wrong}: ${describe(before)}, then ${describe(epoch)}`);
    },
  });
}

export function tablesAreKept(truth: Truth): void {
  const newest = new Map<string, Epoch>();
  truth.listen({
    meshBegan(node) {
      const kept = newest.get(node.node.name);
      if (kept === undefined) return;
      const table = node.node.mesh?.table();
      // Whether or not there is an agent, or a manager, to give it another one.
      const isOlder = table !== undefined && orderOf(table.epoch, kept) !== undefined;
      if (table === undefined || isOlder)
        truth.fail(
          'I4',
          `the mesh of ${node.node.name} begins with table ${describe(table?.epoch)}, and has ${describe(kept)} on its disk`,
        );
    },
    served(node, { epoch }) {
      const before = newest.get(node.node.name);
      const wrong = before === undefined ? undefined : orderOf(epoch, before);
      // What was in use and not on disk yet is not known to a mesh that starts anew; what was acknowledged is.
      if (wrong !== undefined)
        truth.fail('I8', `the mesh of ${node.node.name} serves a table ${wrong}: ${describe(before)}, then ${describe(epoch)}`);
    },
    written(node, path, bytes) {
      if (!path.endsWith('/table.bin') || bytes.length === 0) return;
      const { epoch } = RouteTable.decode(bytes.subarray(HEADER_BYTES));
      if (epoch !== undefined) newest.set(node.node.name, epoch);
    },
  });
}

/** Before the table in its file: a mark and a checksum. */
const HEADER_BYTES = 40;

/** What is wrong with `next` after `held`, or undefined. */
function orderOf(next: Epoch | undefined, held: Epoch | undefined): string | undefined {
  if (held === undefined) return undefined;
  if (next === undefined) return 'without an epoch';
  if (next.clusterId !== held.clusterId) return 'of another cluster';
  if (next.incarnationNumber !== held.incarnationNumber)
    return next.incarnationNumber < held.incarnationNumber ? 'of an older incarnation' : undefined;
  return next.revision < held.revision ? 'that are older' : undefined;
}

function describe(epoch: Epoch | undefined): string {
  return epoch === undefined ? 'none' : `${epoch.revision}`;
}
