// Which address each turn of a published port goes to. The kernel walks the slots of a port one by one, so shares are exact over one round, and a
// change of one target is a change of few slots. Pure.

export interface Share {
  /** `addressKey`. */
  readonly address: string;
  /** At least 1. */
  readonly weight: number;
  readonly canary: boolean;
}

/** More cannot be told apart by anybody, and would only cost memory; targets of equal weight take one slot each whatever their number. */
const MAX_SLOTS = 4096;

/** `before`: what was there is left where it is as far as the shares allow. */
export function slotsOf(shares: readonly Share[], canaryPermille: number, before: readonly string[]): readonly string[] {
  const left = countsOf(shares, canaryPermille);
  const size = [...left.values()].reduce((sum, count) => sum + count, 0);
  const slots: (string | undefined)[] = [];
  for (let index = 0; index < size; index++) {
    const address = before[index];
    const count = address === undefined ? 0 : (left.get(address) ?? 0);
    if (address !== undefined && count > 0) left.set(address, count - 1);
    slots.push(count > 0 ? address : undefined);
  }
  const waiting = inTurns(left);
  let next = 0;
  return slots.map((address) => address ?? waiting[next++] ?? '').filter((address) => address !== '');
}

/** How many slots each address gets. */
function countsOf(shares: readonly Share[], canaryPermille: number): Map<string, number> {
  const weightOf = (canary: boolean): number => shares.reduce((sum, each) => sum + (each.canary === canary ? each.weight : 0), 0);
  const canaryWeight = weightOf(true);
  const otherWeight = weightOf(false);
  const permille = Math.min(1000, canaryPermille);
  const isMixed = canaryWeight > 0 && otherWeight > 0;
  const parts = shares
    .map(({ address, weight, canary }): [string, number] => {
      if (!isMixed) return [address, weight];
      return [address, canary ? weight * otherWeight * permille : weight * canaryWeight * (1000 - permille)];
    })
    .filter(([, part]) => part > 0);
  const divisor = parts.reduce((sum, [, part]) => greatestCommonDivisor(sum, part), 0);
  const exact = parts.reduce((sum, [, part]) => sum + part / divisor, 0);
  const isEqual = exact === parts.length;
  const scale = isEqual || exact <= MAX_SLOTS ? 1 : MAX_SLOTS / exact;
  const counts = new Map<string, number>();
  for (const [address, part] of parts) {
    counts.set(address, (counts.get(address) ?? 0) + Math.max(1, Math.round((part / divisor) * scale)));
  }
  return counts;
}

/** Each address as often as it is left, evenly spread. */
function inTurns(left: ReadonlyMap<string, number>): readonly string[] {
  const places: { readonly address: string; readonly at: number }[] = [];
  for (const [address, count] of left) {
    for (let index = 0; index < count; index++) places.push({ address, at: (index + 0.5) / count });
  }
  return places.sort((a, b) => a.at - b.at).map(({ address }) => address);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
