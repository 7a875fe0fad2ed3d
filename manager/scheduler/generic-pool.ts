// A node's generic resources: how many of each kind it has, by name where they have names, and which are taken.
import type { GenericResource } from '../../proto/index.ts';

interface Pool {
  total: number;
  /** Empty: one is as good as another. */
  names: readonly string[];
  used: number;
  readonly usedNames: Map<string, number>;
}

export type GenericPools = Map<string, Pool>;

/** Takes over what the node says that it has; what is taken stays taken. */
export function setPools(pools: GenericPools, offered: readonly GenericResource[]): void {
  for (const [kind, pool] of pools) {
    if (pool.used === 0) pools.delete(kind);
    pool.total = 0;
    pool.names = [];
  }
  for (const { kind, count, names } of offered) {
    const pool = poolOf(pools, kind);
    pool.total = names.length === 0 ? count : names.length;
    pool.names = names;
  }
}

/** `sign` 1 takes, -1 gives back. */
export function countGeneric(pools: GenericPools, taken: readonly GenericResource[], sign: 1 | -1): void {
  for (const { kind, count, names } of taken) {
    const pool = poolOf(pools, kind);
    pool.used += sign * count;
    for (const name of names) {
      const times = (pool.usedNames.get(name) ?? 0) + sign;
      if (times > 0) pool.usedNames.set(name, times);
      else pool.usedNames.delete(name);
    }
  }
}

export function hasGeneric(pools: GenericPools | undefined, wanted: readonly GenericResource[]): boolean {
  return wanted.every(({ kind, count }) => count <= freeOf(pools?.get(kind)));
}

export function freeCount(pools: GenericPools | undefined, kind: string): number {
  return freeOf(pools?.get(kind));
}

/** How many of a kind there would be, were some given back. */
export function freeAfter(pools: GenericPools | undefined, kind: string, given: readonly GenericResource[]): number {
  const pool = pools?.get(kind);
  if (pool === undefined) return 0;
  return given.reduce((free, other) => free + (other.kind === kind ? other.count : 0), pool.total - pool.used);
}

/** What a task gets of what it wants, the first free names first; only where `hasGeneric`. */
export function chooseGeneric(pools: GenericPools | undefined, wanted: readonly GenericResource[]): readonly GenericResource[] {
  return wanted.map(({ kind, count }) => {
    const pool = pools?.get(kind);
    return { kind, count, names: pool === undefined ? [] : freeNames(pool).slice(0, count) };
  });
}

/** In any order of kinds. */
export function sameGeneric(one: readonly GenericResource[], other: readonly GenericResource[]): boolean {
  if (one === other) return true;
  return one.length === other.length && JSON.stringify([...one].sort(byKind)) === JSON.stringify([...other].sort(byKind));
}

function byKind(one: GenericResource, other: GenericResource): number {
  return one.kind < other.kind ? -1 : 1;
}

function freeOf(pool: Pool | undefined): number {
  if (pool === undefined) return 0;
  const free = pool.total - pool.used;
  return pool.names.length === 0 ? free : Math.min(free, freeNames(pool).length);
}

function freeNames({ names, usedNames }: Pool): readonly string[] {
  return usedNames.size === 0 ? names : names.filter((name) => !usedNames.has(name));
}

function poolOf(pools: GenericPools, kind: string): Pool {
  let pool = pools.get(kind);
  if (pool === undefined) {
    pool = { total: 0, names: [], used: 0, usedNames: new Map() };
    pools.set(kind, pool);
  }
  return pool;
}
