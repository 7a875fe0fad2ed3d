// Which node port belongs to which task: pure rules. Round robin, so that a released port comes back as late as can be, and never within ten
// minutes: a stale route table must not lead one service's connections to another.
import type { LeasedPort } from '../runtime/runtime.ts';

export interface PortLease extends LeasedPort {
  readonly taskId: string;
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Outside the kernel's outgoing ports (32768-60999) and the published ones (30000-32767). */
export const NODE_PORTS: PortRange = { first: 20_000, last: 29_999 };
export const COOLING_MS = 10 * 60_000;

export interface PortBook {
  /** Where the search for the next port begins. */
  next: number;
  readonly leases: Map<string, readonly PortLease[]>;
  /** Ports taken by a lease that came from the range, and their number of leases. */
  readonly taken: Map<number, number>;
  /** Port -> when it may be used again, monotonic. */
  readonly cooling: Map<number, number>;
}

export function emptyPortBook(range: PortRange): PortBook {
  return { next: range.first, leases: new Map(), taken: new Map(), cooling: new Map() };
}

/** The next port that is neither leased nor cooling, or undefined; `next` moves past it either way. */
export function takePort(book: PortBook, range: PortRange, nowMs: number): number | undefined {
  const size = range.last - range.first + 1;
  for (let tried = 0; tried < size; tried++) {
    const port = book.next;
    book.next = port >= range.last ? range.first : port + 1;
    if (book.taken.has(port)) continue;
    const until = book.cooling.get(port);
    if (until !== undefined && until > nowMs) continue;
    book.cooling.delete(port);
    return port;
  }
  return undefined;
}

export function putLeases(book: PortBook, taskId: string, ports: readonly LeasedPort[], range: PortRange): void {
  dropLeases(book, taskId);
  if (ports.length === 0) return;
  book.leases.set(
    taskId,
    ports.map((port) => ({ ...port, taskId })),
  );
  for (const { nodePort } of ports) {
    if (inRange(nodePort, range)) book.taken.set(nodePort, (book.taken.get(nodePort) ?? 0) + 1);
  }
}

/** The task's ports begin to cool; false where it had none. */
export function releaseLeases(book: PortBook, taskId: string, range: PortRange, nowMs: number): boolean {
  const dropped = dropLeases(book, taskId);
  for (const { nodePort } of dropped) {
    if (inRange(nodePort, range)) book.cooling.set(nodePort, nowMs + COOLING_MS);
  }
  return dropped.length > 0;
}

/** Forgets ports that have cooled: the map stays as small as what cools. */
export function sweepCooling(book: PortBook, nowMs: number): void {
  for (const [port, until] of book.cooling) {
    if (until <= nowMs) book.cooling.delete(port);
  }
}

function dropLeases(book: PortBook, taskId: string): readonly PortLease[] {
  const dropped = book.leases.get(taskId) ?? [];
  book.leases.delete(taskId);
  for (const { nodePort } of dropped) {
    const count = (book.taken.get(nodePort) ?? 0) - 1;
    if (count > 0) book.taken.set(nodePort, count);
    else book.taken.delete(nodePort);
  }
  return dropped;
}

function inRange(port: number, range: PortRange): boolean {
  return port >= range.first && port <= range.last;
}
