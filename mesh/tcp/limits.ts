// The numbers of the tcp path, each with its reason.

/**
 * A connection on which nothing moved either way for so long is closed. Peers: IPVS (Swarm's ingress) 15 min, which is known for cutting quiet
 * database connections; nginx stream 10 min; HAProxy asks for a value. Dead peers are found much earlier, by TCP keep-alive.
 */
export const IDLE_TIMEOUT_MS = 3_600_000;

/** Quiet time before the kernel's keep-alive probes a peer. */
export const KEEP_ALIVE_MS = 60_000;

/** How often, at most, connections are looked at for idleness; those that live to see it get keep-alive, short ones are spared the system calls. */
export const SWEEP_INTERVAL_MS = 15_000;

/** How long a trusted source may take to send its PROXY header: it is the first thing it sends, so one lost packet's repeat is covered. */
export const PROXY_HEADER_TIMEOUT_MS = 3000;

/** One read buffer of this size serves all connections. */
export const READ_BUFFER_BYTES = 65_536;
