// Meshes that do not acknowledge a drain in time are marked unready: they are excused from then on, until they acknowledge again.
import type { Pass } from './pass.ts';
import type { WriteGroup } from './plan.ts';

/** One group per node, held to the node's session: whoever registers meanwhile starts anew. */
export function markLateMeshes(pass: Pass): readonly WriteGroup[] {
  const groups: WriteGroup[] = [];
  for (const nodeId of pass.lateMeshes) {
    const before = pass.view.get('nodeStatus', nodeId);
    if (before === undefined) continue;
    const hostname = before.value.description?.hostname ?? nodeId;
    groups.push({
      serviceId: pass.serviceId,
      writes: [{ kind: 'put', table: 'nodeStatus', id: nodeId, value: { ...before.value, meshUnready: true }, before }],
      requires: [{ table: 'sessions', id: nodeId, row: pass.view.get('sessions', nodeId) }],
      events: [
        {
          timeUnixMs: pass.context.wallMs,
          type: 'node',
          action: 'mesh_unready',
          objectId: nodeId,
          objectName: hostname,
          message: `the mesh of node ${hostname} does not acknowledge routes in time; drains no longer wait for it`,
          attributes: {},
        },
      ],
    });
  }
  return groups;
}
