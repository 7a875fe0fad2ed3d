// The managers this agent may dial: those told by managers first, then those of the command line. Kept on disk, so that a restarted agent
// finds its cluster even where the first manager is gone.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Disk, groupWriter, systemDisk } from '../../lib/durable-file.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { randomInt, type Rng } from '../../lib/rng.ts';

export interface ManagerList {
  /** Takes the addresses of all managers as one of them told; an empty list changes nothing. */
  learn(addresses: readonly string[]): void;
  all(): readonly string[];
  /** The one to dial after `last`; a random one at first, so that agents spread over the managers. */
  next(last: string | undefined): string;
  /** All but `present`, in a random order. */
  others(present: string): readonly string[];
}

const FILE = 'managers.json';
/** More than any cluster has; a manager that tells more is not believed beyond this. */
const MAX_MANAGERS = 32;

/** Whether an agent was told some on this folder. */
export function knowsManagers(dataDir: string): boolean {
  return existsSync(join(dataDir, FILE));
}

/** `seeds` (host:port, from the command line) is not empty unless the file has some. */
export function openManagerList(dataDir: string, seeds: readonly string[], rng: Rng, log: Logger, disk: Disk = systemDisk): ManagerList {
  const path = join(dataDir, FILE);
  let learnt = load(path, log, disk);
  const writer = groupWriter(path, () => JSON.stringify({ managers: learnt }), disk);
  const all = (): readonly string[] => [...new Set([...learnt, ...seeds])];
  return {
    learn(addresses) {
      const told = [...new Set(addresses.filter((address) => address !== ''))].slice(0, MAX_MANAGERS);
      if (told.length === 0 || (told.length === learnt.length && told.every((address) => learnt.includes(address)))) return;
      learnt = told;
      writer.flush().catch((error: unknown) => {
        log.warn('cannot keep the list of managers', { path, error: messageOf(error) });
      });
    },
    all,
    next(last) {
      const addresses = all();
      const at = last === undefined ? -1 : addresses.indexOf(last);
      const index = at === -1 ? randomInt(rng, addresses.length) : (at + 1) % addresses.length;
      return addresses[index] ?? '';
    },
    others: (present) =>
      shuffled(
        all().filter((address) => address !== present),
        rng,
      ),
  };
}

function shuffled(items: readonly string[], rng: Rng): readonly string[] {
  return items
    .map((item) => ({ item, rank: rng.next() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}

function load(path: string, log: Logger, disk: Disk): readonly string[] {
  try {
    const text = disk.read(path)?.toString();
    if (text === undefined) return [];
    const { managers } = JSON.parse(text) as { readonly managers?: unknown };
    return Array.isArray(managers) ? managers.filter((item): item is string => typeof item === 'string').slice(0, MAX_MANAGERS) : [];
  } catch (error) {
    log.warn('cannot read the list of managers; using the command line alone', { path, error: messageOf(error) });
    return [];
  }
}
