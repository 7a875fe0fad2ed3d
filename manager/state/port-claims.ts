// The rows by-port/<protocol>/<port>: an ingress port belongs to one service in the whole cluster; host ports of one number are shared by any number
// of services (the scheduler keeps them apart node by node), but not with an ingress port. One row for each number says both. Pure.
//
// The API takes ports, in the transaction that stores the spec; it gives them up there too, or where the leader may still go back to a spec that
// has them, the leader does once it no longer can. Each write compares its row. What the API counts on without writing it is compared too, and the
// leader compares the service's row: so neither takes away what the other has just decided on.
import { PortClaim, PortMode, type PortSpec } from '../../proto/index.ts';
import { portId } from './keys.ts';

/** The row's value once the service uses the port in that mode, or not at all; undefined: nobody is left. */
export function claimAfter(before: PortClaim | undefined, serviceId: string, mode: PortMode | undefined): PortClaim | undefined {
  const others = (before?.hostServiceIds ?? []).filter((id) => id !== serviceId);
  const holder = before?.objectId ?? '';
  const objectId = mode === PortMode.INGRESS ? serviceId : holder === serviceId ? '' : holder;
  const hostServiceIds = mode === PortMode.HOST ? [...others, serviceId].sort() : others;
  return objectId === '' && hostServiceIds.length === 0 ? undefined : PortClaim.create({ objectId, hostServiceIds });
}

export function isClaimedBy({ objectId, hostServiceIds }: PortClaim, serviceId: string): boolean {
  return objectId === serviceId || hostServiceIds.includes(serviceId);
}

/** Ids of the rows that a service with these ports holds. */
export function portIdsOf(ports: readonly PortSpec[]): readonly string[] {
  return ports.filter(({ publishedPort }) => publishedPort !== 0).map(({ protocol, publishedPort }) => portId(protocol, publishedPort));
}
