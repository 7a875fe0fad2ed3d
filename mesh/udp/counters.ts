// Plain numbers that the udp path counts in; mesh/metrics.ts shows them.

export interface UdpCounters {
  /** Since the start. */
  flows: number;
  /** Open now. */
  open: number;
  datagramsFromClients: number;
  bytesFromClients: number;
  datagramsToClients: number;
  bytesToClients: number;
  /** Flows given another replica: theirs was gone, or refused. */
  moved: number;
  /** Flows forgotten because nothing moved. */
  expired: number;
  /** Flows given up, oldest first, for newer ones. */
  evicted: number;
  /** Times that a replica's host said that nobody listens there. */
  replicaFailures: number;
  /** Datagrams dropped: no replica. */
  droppedNoReplica: number;
  /** No socket, and so no local port, was left for a new flow. */
  droppedNoSocket: number;
  /** Too much waited to be sent. */
  droppedQueueFull: number;
  /** The system refused to send. */
  droppedUnsent: number;
}

export function newUdpCounters(): UdpCounters {
  return {
    flows: 0,
    open: 0,
    datagramsFromClients: 0,
    bytesFromClients: 0,
    datagramsToClients: 0,
    bytesToClients: 0,
    moved: 0,
    expired: 0,
    evicted: 0,
    replicaFailures: 0,
    droppedNoReplica: 0,
    droppedNoSocket: 0,
    droppedQueueFull: 0,
    droppedUnsent: 0,
  };
}
