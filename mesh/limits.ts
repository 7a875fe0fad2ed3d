// The numbers that all ports share, each with its reason.
import { type IngressSettings } from '../proto/index.ts';

/** A replica on the LAN answers a SYN within a few ms; after this the next one is tried. A table may say otherwise per port. */
export const CONNECT_TIMEOUT_MS = 300;

/** How long a client waits, unanswered, for a replica that takes it: time enough for a restart on the spot. */
const HOLD_MS = 5000;

/** Clients that wait so per port; one more is refused at once. */
const MAX_HELD = 1024;

/** Between two rounds through all replicas, while a client waits. */
export const HOLD_RETRY = { baseMs: 100, capMs: 1000 };

/** Open connections per port; one more is refused at once. Each costs about 15 KB and two file descriptors. */
const MAX_CONNECTIONS_PER_PORT = 10_000;

/** Listen backlog; the kernel caps it at net.core.somaxconn. */
export const BACKLOG = 4096;

/** Between attempts to open a port that something else holds. */
export const LISTEN_RETRY = { baseMs: 500, capMs: 10_000 };

export interface Limits {
  readonly holdMs: number;
  readonly maxHeld: number;
  readonly maxConnections: number;
}

export const DEFAULT_LIMITS: Limits = { holdMs: HOLD_MS, maxHeld: MAX_HELD, maxConnections: MAX_CONNECTIONS_PER_PORT };

/** What a service asked for, where it did. */
export function limitsOf(settings: IngressSettings | undefined, defaults: Limits): Limits {
  return {
    holdMs: settings?.holdMs ?? defaults.holdMs,
    maxHeld: settings?.maxHeld ?? defaults.maxHeld,
    maxConnections: whereSet(settings?.maxConnections) ?? defaults.maxConnections,
  };
}

/** For settings whose zero would close the port: it means the default, as no value does. */
export function whereSet(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}
