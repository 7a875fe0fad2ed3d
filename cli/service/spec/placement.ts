// --constraint, --placement-pref, --priority and --replicas-max-per-node.
import { Placement } from '../../../proto/index.ts';
import type { FlagReader } from './flag-reader.ts';
import { applyList } from './key-values.ts';
import { applyPreferences } from './preferences.ts';

/** KEY==VALUE or KEY!=VALUE, of which the blanks do not matter. */
const COMPARISON = /^([A-Za-z_][A-Za-z0-9_.\-/]*)\s*(==|!=)\s*([^\s"|](?:[^"|]*[^\s"|])?)$/;
/** The other forms, and which keys there are, are the manager's to say. */
const OPERATOR = /==|!=|\s(?:in|notin)\s*\(|\sexists\b/i;

const MAX_PRIORITY = 1_000_000;

export function applyPlacement(before: Placement | undefined, flags: FlagReader): Placement {
  const base = before ?? Placement.create();
  return {
    ...base,
    ...applyPreferences(base, flags),
    constraints: applyList(base.constraints, 'constraint', flags, (text, flag) => {
      const comparison = COMPARISON.exec(text.trim());
      if (comparison !== null) return `${comparison[1] ?? ''}${comparison[2] ?? ''}${comparison[3] ?? ''}`;
      if (OPERATOR.test(text)) return text.trim();
      flags.problem(flag, `"${text}" is not KEY==VALUE, KEY!=VALUE, KEY in (A, B), KEY notin (A, B) or KEY exists`);
      return undefined;
    }),
    priority: priorityOf(flags) ?? base.priority,
    maxReplicasPerNode: flags.count('replicas-max-per-node') ?? base.maxReplicasPerNode,
  };
}

function priorityOf(flags: FlagReader): number | undefined {
  const text = flags.text('priority');
  if (text === undefined) return undefined;
  const priority = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
  if (Math.abs(priority) <= MAX_PRIORITY) return priority;
  const why = Number.isNaN(priority) ? 'a whole number such as 10 or -5' : `between -${String(MAX_PRIORITY)} and ${String(MAX_PRIORITY)}`;
  flags.problem('--priority', `"${text}" is not ${why}`);
  return undefined;
}
