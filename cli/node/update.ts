// `node update`
import { ShoalError } from '../../lib/errors.ts';
import { Availability, NodeRole, NodeSpec } from '../../proto/index.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { flagReader, type FlagValues } from '../service/spec/flag-reader.ts';
import { inFlags } from '../service/spec/flag-paths.ts';
import { applyLabels } from '../service/spec/key-values.ts';
import { findNode } from './find.ts';

const AVAILABILITIES = { active: Availability.ACTIVE, pause: Availability.PAUSE, drain: Availability.DRAIN };
const ROLES = { worker: NodeRole.WORKER, manager: NodeRole.MANAGER };
/** After the first try, where somebody else changed the node meanwhile. */
const CONFLICT_RETRIES = 2;

export async function run(context: VerbContext, [ref = '']: readonly string[], flags: FlagValues): Promise<undefined> {
  // Wrong flags are refused before anybody is asked.
  applyFlags(NodeSpec.create(), flags);
  const control = await context.control();
  for (let retries = 0; ; retries++) {
    const node = await findNode(control, ref);
    const request = { ref: node.id, version: node.version, spec: applyFlags(node.spec ?? NodeSpec.create(), flags) };
    try {
      await inFlags('node', () => control.write((client, call) => client.updateNode(request, call)));
      break;
    } catch (error) {
      if (ShoalError.from(error).code !== 'conflict' || retries === CONFLICT_RETRIES) throw error;
    }
  }
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
