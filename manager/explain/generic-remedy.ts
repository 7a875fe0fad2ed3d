// Too few of a generic resource: how many are missing, who has them, and how many less would do.
import { type GenericResource, SmallestChange } from '../../proto/index.ts';
import { freeCount, type GenericPools, setPools } from '../scheduler/generic-pool.ts';
import { type Hypothesis, withEntry } from './hypothesis.ts';
import { nameOf, type RemedyContext, type Step } from './step.ts';

/** Of the first kind that there are too few of; undefined: there are enough of all. */
export function genericStep(hypothesis: Hypothesis, { serviceName, tenants }: RemedyContext): Step | undefined {
  const { entry, spec } = hypothesis;
  const lacking = spec.genericReservations.find(({ kind, count }) => count > freeCount(entry.generics, kind));
  if (lacking === undefined) return undefined;
  const { kind, count } = lacking;
  const free = freeCount(entry.generics, kind);
  const total = entry.generics?.get(kind)?.total ?? 0;
  const heldBy = tenants.holdersOfGeneric(entry.id, kind);
  const holders = heldBy.length === 0 ? '' : ` (held by ${heldBy.join(', ')})`;
  const name = nameOf(hypothesis);
  const more =
    count > total
      ? `have the agent on ${name} offer ${count} ${kind} (--generic-resource)`
      : `free ${count - free} ${kind} on ${name}${holders}`;
  const less = free > 0 ? `--generic-resource-add ${kind}=${free}` : `--generic-resource-rm ${kind}`;
  return {
    reason: total === 0 ? `it needs ${count} ${kind}, and the node has none` : `it needs ${count} ${kind}, ${free} free of ${total}`,
    remedy: {
      change: SmallestChange.create({
        kind: 'free-resources',
        what: `${more}, or ask for ${free > 0 ? `at most ${free}` : 'none'}`,
        command: `shoal service update ${less} ${serviceName}`,
        fittingMemoryBytes: spec.reservations?.memoryBytes ?? 0,
        fittingNanoCpus: spec.reservations?.nanoCpus ?? 0,
        genericKind: kind,
        genericCount: count - free,
        fittingGenericCount: free,
        heldBy,
      }),
      next: withEntry(hypothesis, { generics: withEnough(entry.generics, lacking) }),
    },
  };
}

function withEnough(pools: GenericPools | undefined, { kind, count }: GenericResource): GenericPools {
  const enough: GenericPools = new Map();
  setPools(enough, [{ kind, count, names: [] }]);
  return new Map([...(pools ?? []), ...enough]);
}
