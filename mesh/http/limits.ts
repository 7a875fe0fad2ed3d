// The numbers of the http path, each with its reason.

/** Of a request's head, and of an answer's. Peers: HAProxy 16 KiB, nginx 32 KiB, Envoy 60 KiB; single sign-on puts tens of KiB in cookies. */
export const MAX_HEAD_BYTES = 65_536;

/** In a request. The size alone would let tens of thousands of empty ones in; Node's own servers drop what is beyond, without a word. */
export const MAX_HEADERS = 1000;

/** Until a client has sent a request's whole head; a slower one is answered 408. */
export const REQUEST_TIMEOUT_MS = 20_000;

/** How often clients are looked at for it. */
export const HEAD_SWEEP_MS = 1000;

/** From the end of a request to the head of its answer; then 504. nginx waits as long. */
export const RESPONSE_TIMEOUT_MS = 60_000;

/** Nothing moved either way on an exchange or an upgraded connection, and nobody is to blame: as long as on a tcp port. */
export const IDLE_TIMEOUT_MS = 3_600_000;

/** A client that owes the rest of its request, or does not read its answer, for so long is cut off. nginx waits as long. */
export const CLIENT_QUIET_MS = 60_000;

/** How often, at most, open exchanges are looked at for idleness. */
export const SWEEP_INTERVAL_MS = 15_000;

/** A client connection without a request is kept for so long. nginx keeps it as long. */
export const CLIENT_KEEP_ALIVE_MS = 75_000;

/** Requests of one client connection that are open at a time, where it sends further ones before it has an answer. Each may keep a piece of its answer waiting. */
export const MAX_PIPELINED = 4;

/** Client connections per port, idle ones included; beyond, new ones are closed at once. Each costs about 10 KB. */
export const MAX_CLIENT_CONNECTIONS = 20_000;

/** To one replica at a time; further requests to it wait for one. */
export const MAX_REPLICA_SOCKETS = 1024;

/** Kept to one replica without a request. */
export const MAX_IDLE_SOCKETS = 128;

/** How long they are kept: less than what servers keep idle clients (Node and Apache: 5 s; others longer), so that the mesh is the one to close. */
export const IDLE_SOCKET_MS = 4000;

/** A request that could not be repeated goes on a connection only if it was in use so recently: hardly any server closes one so soon. */
export const SURE_SOCKET_MS = 1000;

/** Requests whose head reached a replica are given to so many more: one that kills replicas must not kill them all. */
export const MAX_REPEATS = 2;

/** Connections that turned out to be closed by the replica are exchanged for another one of the same so often. */
export const MAX_STALE = 3;

/** After an answer that came before the end of its request: how long the rest is read, so that the answer is not lost in a reset. */
export const LINGER_MS = 2000;

/** What clients are told to wait when nobody can say better. */
export const RETRY_AFTER_S = 5;
