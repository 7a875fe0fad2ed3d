// One change of a node's settings, made again where somebody else changed the node meanwhile.
import { ShoalError } from '../../lib/errors.ts';
import { NodeSpec, type NodeView } from '../../proto/index.ts';
import type { Control } from '../client/control.ts';
import { inFlags } from '../service/spec/flag-paths.ts';
import { findNode } from './find.ts';

/** After the first try. */
const CONFLICT_RETRIES = 2;

/** `change` makes the new settings from the present ones. Rejects with `not_found`, or as the API refuses. */
export async function changeNode(control: Control, ref: string, change: (spec: NodeSpec) => NodeSpec): Promise<NodeView> {
  for (let retries = 0; ; retries++) {
    const node = await findNode(control, ref);
    const request = { ref: node.id, version: node.version, spec: change(node.spec ?? NodeSpec.create()), checkOnly: false };
    try {
      return await inFlags('node', () => control.write((client, call) => client.updateNode(request, call)));
    } catch (error) {
      if (ShoalError.from(error).code !== 'conflict' || retries === CONFLICT_RETRIES) throw error;
    }
  }
}
