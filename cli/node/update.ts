// `node update`
import type { FieldProblem } from '../../lib/errors.ts';
import { Availability, NodeRole, NodeSpec } from '../../proto/index.ts';
import { refuseAll } from '../command-line/refusal.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { inFlags } from '../service/spec/flag-paths.ts';
import { flagReader, type FlagValues } from '../service/spec/flag-reader.ts';
import { applyLabels } from '../service/spec/key-values.ts';
import { changeNode } from './change.ts';
import { findNode } from './find.ts';

const AVAILABILITIES = { active: Availability.ACTIVE, pause: Availability.PAUSE, drain: Availability.DRAIN };
const ROLES = { worker: NodeRole.WORKER, manager: NodeRole.MANAGER };

const REFUSAL = 'the node cannot be updated';

export async function run(context: VerbContext, [ref = '']: readonly string[], flags: FlagValues): Promise<undefined> {
  const { problems } = applyFlags(NodeSpec.create(), flags);
  const control = await context.control();
  if (problems.length > 0) {
    await refuseAll(REFUSAL, problems, async () => {
      const node = await findNode(control, ref);
      const { spec } = applyFlags(node.spec ?? NodeSpec.create(), flags);
      await inFlags('node', () =>
        control.read((client, call) => client.updateNode({ ref: node.id, version: 0, spec, checkOnly: true }, call)),
      );
    });
  }
  await changeNode(control, ref, (spec) => applyFlags(spec, flags).spec);
  context.shell.out.write(`${ref}\n`);
}

function applyFlags(before: NodeSpec, values: FlagValues): { readonly spec: NodeSpec; readonly problems: readonly FieldProblem[] } {
  const flags = flagReader(values, 'update');
  const spec: NodeSpec = {
    role: flags.choice('role', ROLES) ?? before.role,
    availability: flags.choice('availability', AVAILABILITIES) ?? before.availability,
    labels: applyLabels(before.labels, 'label', flags),
  };
  return { spec, problems: flags.problems };
}
