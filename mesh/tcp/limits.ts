// The numbers of the tcp path, each with its reason.

/** A replica on the LAN answers a SYN within a few ms; after this the next one is tried. A table may say otherwise per port. */
export const CONNECT_TIMEOUT_MS = 300;

/**
 * A connection on which nothing moved either way for so long is closed. Peers: IPVS (Swarm's ingress) 15 min, which is known for cutting quiet
 * database connections; nginx stream 10 min; HAProxy asks for a value. Dead peers are found much earlier, by TCP keep-alive.
 */
export const IDLE_TIMEOUT_MS = 3_600_000;

/** Quiet time before the kernel's keep-alive probes a peer. */
export const KEEP_ALIVE_MS = 60_000;

/** How often, at most, connections are looked at for idleness; those that live to see it get keep-alive, short ones are spared the system calls. */
export const SWEEP_INTERVAL_MS = 15_000;

/** How long a client waits, unanswered, for a replica that takes its connection: time enough for a restart on the spot. */
export const HOLD_MS = 5000;

/** Clients that wait so per port; one more is reset at once. */
export const MAX_HELD = 1024;

/** Between two rounds through all replicas, while a client waits. */
export const HOLD_RETRY = { baseMs: 100, capMs: 1000 };

/** Open connections per port; one more is reset at once. Each costs about 15 KB and two file descriptors. */
export const MAX_CONNECTIONS_PER_PORT = 10_000;

/** How long a trusted source may take to send its PROXY header: it is the first thing it sends, so one lost packet's repeat is covered. */
export const PROXY_HEADER_TIMEOUT_MS = 3000;

/** Listen backlog; the kernel caps it at net.core.somaxconn. */
export const BACKLOG = 4096;

/** Between attempts to open a port that something else holds. */
export const LISTEN_RETRY = { baseMs: 500, capMs: 10_000 };

/** One read buffer of this size serves all connections. */
export const READ_BUFFER_BYTES = 65_536;

export interface Limits {
  readonly holdMs: number;
  readonly maxHeld: number;
  readonly maxConnections: number;
}

export const DEFAULT_LIMITS: Limits = { holdMs: HOLD_MS, maxHeld: MAX_HELD, maxConnections: MAX_CONNECTIONS_PER_PORT };
