// `node update`
import { Availability, NodeRole, NodeSpec } from '../../proto/index.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { flagReader, type FlagValues } from '../service/spec/flag-reader.ts';
import { applyLabels } from '../service/spec/key-values.ts';
import { changeNode } from './change.ts';

const AVAILABILITIES = { active: Availability.ACTIVE, pause: Availability.PAUSE, drain: Availability.DRAIN };
const ROLES = { worker: NodeRole.WORKER, manager: NodeRole.MANAGER };

export async function run(context: VerbContext, [ref = '']: readonly string[], flags: FlagValues): Promise<undefined> {
  // Wrong flags are refused before anybody is asked.
  applyFlags(NodeSpec.create(), flags);
  await changeNode(await context.control(), ref, (spec) => applyFlags(spec, flags));
  context.shell.out.write(`${ref}\n`);
}

function applyFlags(before: NodeSpec, values: FlagValues): NodeSpec {
  const flags = flagReader(values, 'update');
  const spec: NodeSpec = {
    role: flags.choice('role', ROLES) ?? before.role,
    availability: flags.choice('availability', AVAILABILITIES) ?? before.availability,
    labels: applyLabels(before.labels, 'label', flags),
  };
  flags.check('the node cannot be updated');
  return spec;
}
