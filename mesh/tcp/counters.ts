// Plain numbers that the tcp path counts in; mesh/metrics.ts shows them. Nothing else is kept per request or connection.

export interface PortCounters {
  /** Accepted since the start. */
  connections: number;
  /** Open now, waiting ones included. */
  open: number;
  bytesFromClients: number;
  bytesToClients: number;
  /** Attempts beyond the first, of any client. */
  retries: number;
  /** Connect attempts that a replica refused, left unanswered, or closed before a byte. */
  replicaFailures: number;
  /** Clients reset because no replica took them in time. */
  noReplica: number;
  /** Clients reset because too many were open or waiting. */
  overLimit: number;
  /** Trusted sources' connections that were reset: no PROXY header, a bad one, or none in time. */
  badHeaders: number;
  /** Connections closed because nothing moved. */
  idleClosed: number;
  /** The system refused to accept (out of file descriptors, mostly). */
  acceptErrors: number;
}

export function newCounters(): PortCounters {
  return {
    connections: 0,
    open: 0,
    bytesFromClients: 0,
    bytesToClients: 0,
    retries: 0,
    replicaFailures: 0,
    noReplica: 0,
    overLimit: 0,
    badHeaders: 0,
    idleClosed: 0,
    acceptErrors: 0,
  };
}
