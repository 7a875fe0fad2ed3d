// Published HTTP ports, and their numbers.
import { keyOfRoute, type PortRoute } from '../../proto/index.ts';
import { type PortHost, type Protocol, type ServedPort } from '../served-port.ts';
import { type HttpNumbers, type HttpPortCounters, newHttpPortCounters, newRouteCounters, type RouteCounters } from './counters.ts';
import { HttpPort, type HttpPortOptions } from './port.ts';

export type HttpProtocolOptions = Omit<HttpPortOptions, 'counters' | 'routeCounters' | 'forgetRoute'>;

export class HttpProtocol implements Protocol, HttpNumbers {
  readonly #options: HttpProtocolOptions;
  readonly #ports = new Map<number, HttpPortCounters>();
  readonly #routes = new Map<string, RouteCounters>();

  constructor(options: HttpProtocolOptions) {
    this.#options = options;
  }

  get portCounters(): ReadonlyMap<number, Readonly<HttpPortCounters>> {
    return this.#ports;
  }

  get routeCounters(): ReadonlyMap<string, Readonly<RouteCounters>> {
    return this.#routes;
  }

  serve(host: PortHost, routes: readonly PortRoute[], nodeId: string): ServedPort {
    const counters = this.#ports.get(host.publishedPort) ?? newHttpPortCounters();
    this.#ports.set(host.publishedPort, counters);
    return new HttpPort(
      {
        ...this.#options,
        counters,
        routeCounters: (key, route) => this.#countersOf(key, route),
        forgetRoute: (key) => this.#routes.delete(key),
      },
      host,
      routes,
      nodeId,
    );
  }

  forget(publishedPort: number): void {
    this.#ports.delete(publishedPort);
  }

  #countersOf(key: string, route: PortRoute): RouteCounters {
    const { host, path } = keyOfRoute(route);
    const counters = this.#routes.get(key) ?? newRouteCounters(route.publishedPort, host, path);
    this.#routes.set(key, counters);
    return counters;
  }
}
