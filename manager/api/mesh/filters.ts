// What both lists about the meshes can be narrowed by.
import { type MeshPort, type MeshRoute, PortProtocol } from '../../../proto/index.ts';
import type { FilterKeys } from '../filters.ts';

export const YES_OR_NO: readonly string[] = ['true', 'false'];

const PROTOCOLS: Readonly<Record<string, PortProtocol>> = { tcp: PortProtocol.TCP, udp: PortProtocol.UDP, http: PortProtocol.HTTP };

type Shown = Pick<MeshPort, 'protocol' | 'publishedPort'> & Pick<MeshRoute, 'serviceId' | 'serviceName'>;

export const ROUTE_FILTERS = {
  port: { matches: (route: Shown, value: string) => String(route.publishedPort) === value },
  protocol: { matches: (route: Shown, value: string) => route.protocol === PROTOCOLS[value], values: Object.keys(PROTOCOLS) },
  service: { matches: (route: Shown, value: string) => route.serviceName === value || route.serviceId.startsWith(value) },
} satisfies FilterKeys<Shown>;
