// Published UDP ports, their numbers, and the sockets towards replicas that they share.
import { type Clock, type Timer } from '../../lib/clock.ts';
import { type Rng } from '../../lib/rng.ts';
import { type PortRoute } from '../../proto/index.ts';
import { type PortHost, type Protocol, type ServedPort } from '../served-port.ts';
import { addressesOfHost } from './client-sides.ts';
import { newUdpCounters, type UdpCounters } from './counters.ts';
import { REFRESH_MS } from './limits.ts';
import { UdpPort } from './port.ts';
import { Upstreams } from './upstreams.ts';

export interface UdpProtocolOptions {
  readonly clock: Clock;
  readonly rng: Rng;
  /** Sockets of their own for flows to one replica; the default of limits.ts unless given. */
  readonly ownSocketsPerReplica?: number;
  /** `addressesOfHost` unless given. */
  readonly hostAddresses?: () => readonly string[];
}

export class UdpProtocol implements Protocol {
  readonly #options: UdpProtocolOptions;
  readonly #upstreams: Upstreams;
  readonly #hostAddresses: () => readonly string[];
  readonly #counters = new Map<number, UdpCounters>();
  readonly #ports = new Set<UdpPort>();
  #refresh: Timer | undefined;

  constructor(options: UdpProtocolOptions) {
    this.#options = options;
    this.#upstreams = new Upstreams(options.clock, options.ownSocketsPerReplica);
    this.#hostAddresses = options.hostAddresses ?? addressesOfHost;
  }

  /** By published port. */
  get counters(): ReadonlyMap<number, Readonly<UdpCounters>> {
    return this.#counters;
  }

  /** Open towards replicas. */
  get upstreamSockets(): number {
    return this.#upstreams.sockets;
  }

  serve(host: PortHost, [route]: readonly PortRoute[], nodeId: string): ServedPort {
    if (route === undefined) throw new Error('a port without a route');
    const { clock, rng } = this.#options;
    const counters = this.#counters.get(host.publishedPort) ?? newUdpCounters();
    this.#counters.set(host.publishedPort, counters);
    const port: UdpPort = new UdpPort(
      { clock, rng, upstreams: this.#upstreams, counters, hostAddresses: this.#hostAddresses, onClose: () => this.#ports.delete(port) },
      host,
      route,
      nodeId,
    );
    this.#ports.add(port);
    if (this.#refresh === undefined) this.#refreshLater();
    return port;
  }

  forget(publishedPort: number): void {
    this.#counters.delete(publishedPort);
  }

  #refreshLater(): void {
    this.#refresh = this.#options.clock.after(
      REFRESH_MS * (0.75 + this.#options.rng.next() / 2),
      () => {
        this.#refresh = undefined;
        if (this.#ports.size === 0) return;
        const addresses = this.#hostAddresses();
        for (const port of this.#ports) port.refresh(addresses);
        this.#refreshLater();
      },
      true,
    );
  }
}
