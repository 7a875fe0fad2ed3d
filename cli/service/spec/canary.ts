// --canary and --canary-promote-after of `service update`.
import type { FieldProblem } from '../../../lib/errors.ts';
import type { CanaryWish } from '../../../proto/index.ts';
import { type FlagValues, flagReader } from './flag-reader.ts';

export interface WishDraft {
  /** Undefined: no canary is asked for. */
  readonly wish: CanaryWish | undefined;
  readonly problems: readonly FieldProblem[];
}

export function readCanaryWish(values: FlagValues): WishDraft {
  const flags = flagReader(values, 'update');
  const share = flags.text('canary');
  const promoteAfterMs = flags.durationMs('canary-promote-after');
  const permille = share === undefined ? undefined : parseShare(share);
  if (share !== undefined && permille === undefined)
    flags.problem('--canary', `"${share}" is not a share of the new connections such as 10%, 0.5% or 100%`);
  if (share === undefined && flags.text('canary-promote-after') !== undefined)
    flags.problem('--canary-promote-after', 'is for --canary, which is not given; for a canary that is on give its share again');
  return { wish: permille === undefined ? undefined : { permille, promoteAfterMs }, problems: flags.problems };
}

function parseShare(text: string): number | undefined {
  const match = /^(\d{1,3}(?:\.\d)?)%$/.exec(text);
  const permille = match === null ? NaN : Math.round(Number(match[1]) * 10);
  return permille <= 1000 ? permille : undefined;
}
