// --placement-pref: spread=KEY, affinity=TARGET[,weight=N], anti-affinity=TARGET[,weight=N].
import type { Affinity, Placement } from '../../../proto/index.ts';
import { splitKeyValue } from './csv.ts';
import type { FlagReader, ListValues } from './flag-reader.ts';

const DEFAULT_WEIGHT = 50;
const MAX_WEIGHT = 100;

type Preference = { readonly kind: 'spread'; readonly key: string } | { readonly kind: 'affinity'; readonly affinity: Affinity };

type Preferences = Pick<Placement, 'spread' | 'affinities'>;

/** Those removed are named as they were given, the weight may be left out; an affinity added again gets the new weight in its place. */
export function applyPreferences(before: Preferences, flags: FlagReader): Preferences {
  const spread = new Set(before.spread);
  const affinities = new Map(before.affinities.map((affinity) => [affinity.target, affinity]));
  for (const preference of read(flags.removed('placement-pref'), flags)) {
    if (preference.kind === 'spread') spread.delete(preference.key);
    else affinities.delete(preference.affinity.target);
  }
  for (const preference of read(flags.added('placement-pref'), flags)) {
    if (preference.kind === 'spread') spread.add(preference.key);
    else affinities.set(preference.affinity.target, preference.affinity);
  }
  return { spread: [...spread], affinities: [...affinities.values()] };
}

/** "affinity=service:web,weight=50": as it is written, and as `service inspect` shows it. */
export function preferenceText({ target, weight }: Affinity): string {
  return `${weight < 0 ? 'anti-affinity' : 'affinity'}=${target},weight=${Math.abs(weight)}`;
}

function read({ flag, values }: ListValues, flags: FlagReader): readonly Preference[] {
  return values.flatMap((text) => {
    const preference = parsePreference(text);
    if (typeof preference !== 'string') return preference;
    flags.problem(flag, preference);
    return [];
  });
}

/** A text: what is wrong. */
function parsePreference(text: string): Preference | string {
  const [kind, rest = ''] = splitKeyValue(text);
  switch (kind.trim()) {
    case 'spread':
      return rest.trim() === ''
        ? `"${text}" says nothing to spread over; write spread=node.labels.dc`
        : { kind: 'spread', key: rest.trim() };
    case 'affinity':
      return parseAffinity(text, rest, 1);
    case 'anti-affinity':
      return parseAffinity(text, rest, -1);
    default:
      return `"${text}" is not spread=KEY, affinity=TARGET[,weight=N] or anti-affinity=TARGET[,weight=N]`;
  }
}

/** The target may hold commas, the weight is what stands last. */
function parseAffinity(text: string, rest: string, sign: 1 | -1): Preference | string {
  const match = /^(.*?)(?:,\s*weight=([^,]*))?$/.exec(rest);
  const target = (match?.[1] ?? '').trim();
  if (target === '') return `"${text}" has no target; write affinity=service:web or affinity=node.labels.disk==ssd`;
  const given = match?.[2]?.trim();
  const weight = given === undefined ? DEFAULT_WEIGHT : /^\d{1,3}$/.test(given) ? Number(given) : NaN;
  if (!(weight >= 1 && weight <= MAX_WEIGHT)) return `"${text}": the weight is a whole number from 1 to ${String(MAX_WEIGHT)}`;
  return { kind: 'affinity', affinity: { target, weight: sign * weight } };
}
