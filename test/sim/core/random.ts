// Chance, decided by the seed. Every part of a world draws from a stream of its own, so that one more draw in one part changes nothing in another.
import { type Rng, randomInt, seededRng } from '../../../lib/rng.ts';

/** A stream for `name`: the same seed and name, the same numbers. */
export function forkRng(seed: number, name: string): Rng {
  let hash = (seed ^ 0x9e3779b9) >>> 0;
  for (let at = 0; at < name.length; at++) {
    hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193) >>> 0;
    hash ^= hash >>> 13;
  }
  return seededRng(hash);
}

export function chance(rng: Rng, probability: number): boolean {
  return rng.next() < probability;
}

/** Uniform in [from, to). */
export function between(rng: Rng, from: number, to: number): number {
  return from + rng.next() * (to - from);
}

/** One of them; there is at least one. */
export function pick<T>(rng: Rng, items: readonly T[]): T {
  const item = items[randomInt(rng, items.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}

export function pickOrNone<T>(rng: Rng, items: readonly T[]): T | undefined {
  return items[randomInt(rng, items.length)];
}

/** Mostly short, now and then long: how networks and disks answer. */
export function delayMs(rng: Rng, typicalMs: number, longMs: number): number {
  return chance(rng, 0.02) ? between(rng, typicalMs, longMs) : between(rng, typicalMs / 4, typicalMs * 2);
}
