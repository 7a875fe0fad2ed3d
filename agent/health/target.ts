// Where a probe finds its task: the container's own address, or the leased port of a plain process.
import { isIPv6 } from 'node:net';
import type { LeasedPort } from '../runtime/runtime.ts';

export interface ProbeTarget {
  readonly taskId: string;
  /** Of the container; undefined: it listens on the node. */
  readonly address: string | undefined;
  readonly dataAddress: string;
  readonly ports: readonly LeasedPort[];
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `port` as the task knows it. On the node a port without a lease is taken as it is. */
export function addressOf(target: ProbeTarget, port: number): Address {
  if (target.address !== undefined) return { host: target.address, port };
  const leased = target.ports.find((other) => other.protocol === 'tcp' && other.targetPort === port);
  return { host: target.dataAddress, port: leased?.nodePort ?? port };
}

export function formatAddress({ host, port }: Address): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${String(port)}`;
}
