// One node by id, hostname or unique id prefix.
import { ShoalError } from '../../lib/errors.ts';
import type { NodeView } from '../../proto/index.ts';
import type { Control } from '../client/control.ts';

/** Rejects with `not_found`. */
export async function findNode(control: Control, ref: string): Promise<NodeView> {
  const { nodes } = await control.read((client, call) => client.listNodes({ filters: [], refs: [ref] }, call));
  const [node] = nodes;
  if (node === undefined) throw new ShoalError('not_found', `there is no node ${ref}; \`shoal node ls\` lists them`);
  return node;
}
