// Leases node ports to tasks: the book (port-book.ts) on disk, and a check that nothing else on the host holds the port.
import { join } from 'node:path';
import { PortMode, PortProtocol, type PortSpec } from '../../proto/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { type Disk, groupWriter, systemDisk } from '../../lib/durable-file.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { LeasedPort } from '../runtime/runtime.ts';
import { bindable } from './bindable.ts';
import {
  COOLING_MS,
  emptyPortBook,
  NODE_PORTS,
  type PortBook,
  type PortRange,
  putLeases,
  releaseLeases,
  sweepCooling,
  takePort,
} from './port-book.ts';

export interface PortLeases {
  /**
   * A port for each target of `specs`, on disk before it resolves; the same ones again for a task that has them. Rejects with
   * `resource_exhausted` where none is free, `failed_precondition` where none could be opened at the data address.
   */
  lease(taskId: string, specs: readonly PortSpec[], signal: AbortSignal): Promise<readonly LeasedPort[]>;
  /** Takes the ports that a task found running has. */
  adopt(taskId: string, ports: readonly LeasedPort[]): void;
  /** The task has ended: its ports cool for ten minutes. */
  release(taskId: string): void;
  /** Releases the leases of all tasks but these: what a restarted agent finds left over. */
  retain(taskIds: ReadonlySet<string>): void;
}

/** Resolves to whether `port` can be bound at `address` now. */
export type CanBind = (protocol: 'tcp' | 'udp', address: string, port: number) => Promise<boolean>;

export interface PortLeaseOptions {
  readonly dataDir: string;
  /** The host's unless given. */
  readonly disk?: Disk;
  readonly dataAddress: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly range?: PortRange;
  readonly canBind?: CanBind;
}

interface Stored {
  readonly next: number;
  readonly leases: Readonly<Record<string, readonly LeasedPort[]>>;
  readonly cooling: readonly number[];
}

const FILE = 'ports.json';
/** A host where this many ports in a row are held by others has another problem. */
const MAX_TRIES = 200;

export function openPortLeases(options: PortLeaseOptions): PortLeases {
  const { clock, log, dataAddress, disk = systemDisk } = options;
  const range = options.range ?? NODE_PORTS;
  const canBind = options.canBind ?? bindable;
  const path = join(options.dataDir, FILE);
  const book = load(path, range, clock.nowMs(), log, disk);
  const content = (): string => {
    sweepCooling(book, clock.nowMs());
    return JSON.stringify(stored(book));
  };
  const writer = groupWriter(path, content, disk);
  const persist = (): void => {
    writer.flush().catch((error: unknown) => {
      log.warn('cannot write the port leases', { path, error: messageOf(error) });
    });
  };

  /** A port that can be bound, held in the book until `settle`: another task's lease may be under way at the same time. */
  const free = async (protocol: 'tcp' | 'udp', signal: AbortSignal): Promise<number> => {
    for (let tried = 0; tried < MAX_TRIES; tried++) {
      signal.throwIfAborted();
      const port = takePort(book, range, clock.nowMs());
      if (port === undefined) break;
      book.taken.set(port, 1);
      if (await canBind(protocol, dataAddress, port)) return port;
      book.taken.delete(port);
      log.debug('a node port is held by something else', { port, protocol });
    }
    throw new ShoalError(
      'resource_exhausted',
      `no free port for a task among ${String(range.first)}-${String(range.last)} of ${dataAddress}: leased, released within ten minutes, or held by other programs`,
    );
  };
  const choose = async (taskId: string, specs: readonly PortSpec[], signal: AbortSignal): Promise<readonly LeasedPort[]> => {
    const ports: LeasedPort[] = [];
    const held: number[] = [];
    const unhold = (): void => {
      for (const port of held.splice(0)) book.taken.delete(port);
    };
    try {
      for (const wanted of wantedPorts(specs)) {
        let nodePort = wanted.publishedPort;
        if (!wanted.host || nodePort === 0) {
          nodePort = await free(wanted.protocol, signal);
          held.push(nodePort);
        }
        ports.push({ protocol: wanted.protocol, targetPort: wanted.targetPort, nodePort, host: wanted.host });
      }
      unhold();
      putLeases(book, taskId, ports, range);
      return ports;
    } finally {
      unhold();
    }
  };

  return {
    async lease(taskId, specs, signal) {
      const held = book.leases.get(taskId);
      if (held !== undefined) return held.map(plain);
      const ports = await choose(taskId, specs, signal);
      if (ports.length > 0) await writer.flush();
      return ports;
    },
    adopt(taskId, ports) {
      const held = book.leases.get(taskId) ?? [];
      if (held.length === ports.length && ports.every((port) => held.some((other) => other.nodePort === port.nodePort))) return;
      putLeases(book, taskId, ports, range);
      persist();
    },
    release(taskId) {
      if (releaseLeases(book, taskId, range, clock.nowMs())) persist();
    },
    retain(taskIds) {
      const before = book.leases.size;
      for (const taskId of [...book.leases.keys()]) {
        if (!taskIds.has(taskId)) releaseLeases(book, taskId, range, clock.nowMs());
      }
      if (book.leases.size !== before) persist();
    },
  };
}

interface WantedPort {
  readonly protocol: 'tcp' | 'udp';
  readonly targetPort: number;
  readonly host: boolean;
  readonly publishedPort: number;
}

/** One lease serves all ingress ports that lead to the same target; each host port is its own. */
function wantedPorts(specs: readonly PortSpec[]): readonly WantedPort[] {
  const wanted = new Map<string, WantedPort>();
  for (const spec of specs) {
    const protocol = spec.protocol === PortProtocol.UDP ? 'udp' : 'tcp';
    const host = spec.mode === PortMode.HOST;
    const key = `${protocol}/${String(spec.targetPort)}${host ? `/${String(spec.publishedPort)}` : ''}`;
    wanted.set(key, { protocol, targetPort: spec.targetPort, host, publishedPort: spec.publishedPort });
  }
  return [...wanted.values()];
}

function plain(lease: LeasedPort): LeasedPort {
  return { protocol: lease.protocol, targetPort: lease.targetPort, nodePort: lease.nodePort, host: lease.host };
}

function stored(book: PortBook): Stored {
  const leases = Object.fromEntries([...book.leases].map(([taskId, ports]) => [taskId, ports.map(plain)]));
  return { next: book.next, leases, cooling: [...book.cooling.keys()] };
}

/** What was cooling begins anew: no clock runs from one process to the next. */
function load(path: string, range: PortRange, nowMs: number, log: Logger, disk: Disk): PortBook {
  const book = emptyPortBook(range);
  try {
    const text = disk.read(path)?.toString();
    if (text === undefined) return book;
    const { next, leases, cooling } = JSON.parse(text) as Stored;
    if (Number.isInteger(next) && next >= range.first && next <= range.last) book.next = next;
    for (const [taskId, ports] of Object.entries(leases)) putLeases(book, taskId, ports, range);
    for (const port of cooling) book.cooling.set(port, nowMs + COOLING_MS);
  } catch (error) {
    log.warn('cannot read the port leases; running tasks keep theirs', { path, error: messageOf(error) });
  }
  return book;
}
