// `node inspect`
import type { VerbContext } from '../command-line/verb.ts';
import { nodeStruct, renderNodePretty } from '../inspect/node.ts';
import { type InspectOptions, inspectEach } from '../inspect/print.ts';
import { findNode } from './find.ts';

export async function run(context: VerbContext, refs: readonly string[], options: InspectOptions): Promise<number> {
  const control = await context.control();
  return inspectEach(context.shell, refs, options, (ref) => findNode(control, ref), { struct: nodeStruct, pretty: renderNodePretty });
}
