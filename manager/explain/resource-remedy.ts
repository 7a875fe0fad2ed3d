// Too little CPU or memory: how much is missing, who has it, and how much less would do.
import { Resources, SmallestChange } from '../../proto/index.ts';
import { cpusText, memoryFlag, memoryText, missingText, reservableBytes, reservableNanoCpus } from './amounts.ts';
import { genericStep } from './generic-remedy.ts';
import { type Hypothesis, withEntry } from './hypothesis.ts';
import { nameOf, type RemedyContext, type Step } from './step.ts';

interface Shortage {
  readonly needed: number;
  readonly missing: number;
  /** The node does not have that much in all: nothing can be freed. */
  readonly isBeyondNode: boolean;
  readonly fitting: number;
}

export function resourceStep(hypothesis: Hypothesis, context: RemedyContext): Step {
  const { serviceName, tenants } = context;
  const { entry, spec } = hypothesis;
  const needed = Resources.create({ ...spec.reservations });
  const memory = shortage(needed.memoryBytes, entry.freeMemoryBytes, entry.memoryBytes, reservableBytes);
  const cpus = shortage(needed.nanoCpus, entry.freeNanoCpus, entry.nanoCpus, reservableNanoCpus);
  const reasons = [
    memory && `${memoryText(memory.needed)} of memory, ${memoryText(entry.freeMemoryBytes)} free of ${memoryText(entry.memoryBytes)}`,
    cpus && `${cpusText(cpus.needed)} CPUs, ${cpusText(Math.max(0, entry.freeNanoCpus))} free of ${cpusText(entry.nanoCpus)}`,
  ].filter((reason) => reason !== undefined);
  if (reasons.length === 0) return genericStep(hypothesis, context) ?? { reason: 'it has not enough resources', remedy: undefined };
  const heldBy = tenants.largestOn(entry.id, memory === undefined ? 'nanoCpus' : 'memoryBytes');
  const canBeFreed = [memory, cpus].every((each) => each?.isBeyondNode !== true);
  const missing = [memory && `${missingText(memory.missing)} of memory`, cpus && `${cpusText(cpus.missing)} CPUs`]
    .filter(isText)
    .join(' and ');
  const less = [memory && `--reserve-memory ${memoryFlag(memory.fitting)}`, cpus && `--reserve-cpu ${cpusText(cpus.fitting)}`].filter(
    isText,
  );
  const command = `shoal service update ${less.join(' ')} ${serviceName}`;
  const holders = heldBy.length === 0 ? '' : ` (most is reserved by ${heldBy.join(', ')})`;
  const freeing = canBeFreed ? `free ${missing} on ${nameOf(hypothesis)}${holders}, or reserve less` : `reserve less, the node has no more`;
  return {
    reason: `it needs ${reasons.join('; and ')}`,
    remedy: {
      change: SmallestChange.create({
        kind: 'free-resources',
        what: `${freeing}: at most ${amounts(memory, cpus)} fits there`,
        command,
        memoryBytes: canBeFreed ? (memory?.missing ?? 0) : 0,
        nanoCpus: canBeFreed ? (cpus?.missing ?? 0) : 0,
        fittingMemoryBytes: memory?.fitting ?? needed.memoryBytes,
        fittingNanoCpus: cpus?.fitting ?? needed.nanoCpus,
        heldBy,
      }),
      next: withEntry(hypothesis, {
        freeMemoryBytes: Math.max(entry.freeMemoryBytes, needed.memoryBytes),
        freeNanoCpus: Math.max(entry.freeNanoCpus, needed.nanoCpus),
      }),
    },
  };
}

function shortage(needed: number, free: number, inAll: number, fitting: (free: number) => number): Shortage | undefined {
  if (needed === 0 || free >= needed) return undefined;
  return { needed, missing: needed - free, isBeyondNode: needed > inAll, fitting: fitting(free) };
}

function amounts(memory: Shortage | undefined, cpus: Shortage | undefined): string {
  return [memory && `${memoryText(memory.fitting)} of memory`, cpus && `${cpusText(cpus.fitting)} CPUs`].filter(isText).join(' and ');
}

function isText(text: string | undefined): text is string {
  return text !== undefined;
}
