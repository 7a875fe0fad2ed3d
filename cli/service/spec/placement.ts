// --constraint and --replicas-max-per-node.
import { Placement } from '../../../proto/index.ts';
import type { FlagReader } from './flag-reader.ts';
import { applyList } from './key-values.ts';

/** KEY==VALUE or KEY!=VALUE; which keys there are is the manager's to say. */
const CONSTRAINT = /^([A-Za-z_][A-Za-z0-9_.\-/]*)\s*(==|!=)\s*(\S(?:.*\S)?)$/;

export function applyPlacement(before: Placement | undefined, flags: FlagReader): Placement {
  const base = before ?? Placement.create();
  return {
    ...base,
    constraints: applyList(base.constraints, 'constraint', flags, (text, flag) => {
      const match = CONSTRAINT.exec(text.trim());
      if (match !== null) return `${match[1] ?? ''}${match[2] ?? ''}${match[3] ?? ''}`;
      flags.problem(flag, `"${text}" is not KEY==VALUE or KEY!=VALUE, such as node.labels.ssd==true`);
      return undefined;
    }),
    maxReplicasPerNode: flags.count('replicas-max-per-node') ?? base.maxReplicasPerNode,
  };
}
