// The numbers of the udp path, each with its reason.

/** A flow on which nothing moved either way for so long is forgotten. Conntrack: 30 s for one way, 120 s (180 s before 5.1) for both; HAProxy and nginx ask. */
export const IDLE_TIMEOUT_MS = 60_000;

/** Flows per port; for one more the flow that was quiet longest is given up. Each costs about 0.5 KB, and its part of a socket (about 4 KB). */
export const MAX_FLOWS_PER_PORT = 100_000;

/**
 * Of the flows to one replica so many have a socket of their own, by which a refusal (ICMP port unreachable) is seen at once. Those beyond share sockets with flows
 * to other replicas, so that 100,000 flows to 10 replicas take about 12,000 file descriptors and local ports, of which Linux gives out 28,232 unless told otherwise.
 */
export const OWN_SOCKETS_PER_REPLICA = 256;

/** Flows to one replica beyond those: there are no more local ports to tell their answers apart. */
export const SHARED_SOCKETS = 65_536 - 1024;

/** A shared socket serves no new flow to the same replica for so long, where there is a choice: an answer that comes late must not reach another client. */
export const SLOT_REST_MS = 10_000;

/** Bytes that may wait in one socket's send queue; what comes then is dropped, as the network would. */
export const MAX_QUEUED_BYTES = 262_144;

/** What the kernel may keep for the mesh between two of its turns, per listening socket; net.core.rmem_max is the most it gives. */
export const RECEIVE_BUFFER_BYTES = 4_194_304;

/** How often the host's addresses are looked at, and addresses that could not be listened on are tried again. */
export const REFRESH_MS = 5000;
