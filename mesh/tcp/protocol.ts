// Published TCP ports, and their numbers.
import { type PortRoute } from '../../proto/index.ts';
import { type PortHost, type Protocol, type ServedPort } from '../served-port.ts';
import { newCounters, type PortCounters } from './counters.ts';
import { TcpPort, type TcpPortOptions } from './port.ts';

export class TcpProtocol implements Protocol {
  readonly #options: Omit<TcpPortOptions, 'counters'>;
  readonly #counters = new Map<number, PortCounters>();

  constructor(options: Omit<TcpPortOptions, 'counters'>) {
    this.#options = options;
  }

  /** By published port; a port that is gone keeps its numbers until its last connection ends. */
  get counters(): ReadonlyMap<number, Readonly<PortCounters>> {
    return this.#counters;
  }

  serve(host: PortHost, [route]: readonly PortRoute[], nodeId: string): ServedPort {
    if (route === undefined) throw new Error('a port without a route');
    const counters = this.#counters.get(host.publishedPort) ?? newCounters();
    this.#counters.set(host.publishedPort, counters);
    return new TcpPort({ ...this.#options, counters }, host, route, nodeId);
  }

  forget(publishedPort: number): void {
    this.#counters.delete(publishedPort);
  }
}
