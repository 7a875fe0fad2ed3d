// The rows by-port/<protocol>/<port>: an ingress port belongs to one service in the whole cluster, or is shared as HTTP by services with rules of
// their own; host ports of one number are shared by any number of services (the scheduler keeps them apart node by node), but not with an ingress
// port. One row for each number says all of it. Pure.
//
// The API takes ports, in the transaction that stores the spec; it gives them up there too, or where the leader may still go back to a spec that
// has them, the leader does once it no longer can. Each write compares its row. What the API counts on without writing it is compared too, and the
// leader compares the service's row: so neither takes away what the other has just decided on.
import { type HttpClaim, PortClaim, PortMode, PortProtocol, type PortSpec } from '../../proto/index.ts';
import { portId } from './keys.ts';

/** The row's value once the service uses the number as `ports` do (all of that number), and no other way; undefined: nobody is left. */
export function claimAfter(before: PortClaim | undefined, serviceId: string, ports: readonly PortSpec[]): PortClaim | undefined {
  const holder = before?.objectId ?? '';
  const others = (before?.hostServiceIds ?? []).filter((id) => id !== serviceId);
  return claimOf(
    ports.some(isExclusive) ? serviceId : holder === serviceId ? '' : holder,
    ports.some(isHost) ? [...others, serviceId] : others,
    [...(before?.http ?? []).filter((claim) => claim.serviceId !== serviceId), ...httpClaimsOf(serviceId, ports)],
  );
}

/** The same, but of what the service holds already: nothing is taken. `before` itself where nothing is given back. */
export function claimKeeping(before: PortClaim, serviceId: string, ports: readonly PortSpec[]): PortClaim | undefined {
  const kept = new Set(httpClaimsOf(serviceId, ports).map(httpClaimKey));
  const isGivenBack = (claim: HttpClaim): boolean => claim.serviceId === serviceId && !kept.has(httpClaimKey(claim));
  const isExclusiveNoMore = before.objectId === serviceId && !ports.some(isExclusive);
  const isHostNoMore = before.hostServiceIds.includes(serviceId) && !ports.some(isHost);
  if (!isExclusiveNoMore && !isHostNoMore && !before.http.some(isGivenBack)) return before;
  return claimOf(
    isExclusiveNoMore ? '' : before.objectId,
    before.hostServiceIds.filter((id) => id !== serviceId || !isHostNoMore),
    before.http.filter((claim) => !isGivenBack(claim)),
  );
}

export function isClaimedBy(claim: PortClaim, serviceId: string): boolean {
  return claim.hostServiceIds.includes(serviceId) || isPublishedBy(claim, serviceId);
}

/** On every node, to itself or shared. */
export function isPublishedBy({ objectId, http }: PortClaim, serviceId: string): boolean {
  return objectId === serviceId || http.some((claim) => claim.serviceId === serviceId);
}

/** Ids of the services that publish it on every node, each once. */
export function publishersOf({ objectId, http }: PortClaim): readonly string[] {
  return [...new Set([objectId, ...http.map(({ serviceId }) => serviceId)])].filter((id) => id !== '');
}

export function sameClaim(one: PortClaim, other: PortClaim): boolean {
  return Buffer.compare(PortClaim.encode(one), PortClaim.encode(other)) === 0;
}

/** By the id of their row; ports that have no number yet have none. */
export function portsByRow(ports: readonly PortSpec[]): ReadonlyMap<string, readonly PortSpec[]> {
  const rows = new Map<string, PortSpec[]>();
  for (const port of ports) {
    if (port.publishedPort === 0) continue;
    const id = portId(port.protocol, port.publishedPort);
    const row = rows.get(id);
    if (row === undefined) rows.set(id, [port]);
    else row.push(port);
  }
  return rows;
}

function claimOf(objectId: string, hostServiceIds: readonly string[], http: readonly HttpClaim[]): PortClaim | undefined {
  if (objectId === '' && hostServiceIds.length === 0 && http.length === 0) return undefined;
  const rules = new Map(http.map((claim) => [httpClaimKey(claim), claim]));
  const sorted = [...rules].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, claim]) => claim);
  return PortClaim.create({ objectId, hostServiceIds: [...hostServiceIds].sort(), http: sorted });
}

function httpClaimsOf(serviceId: string, ports: readonly PortSpec[]): readonly HttpClaim[] {
  return ports
    .filter((port) => !isHost(port) && port.protocol === PortProtocol.HTTP)
    .map(({ ingress }) => ({ serviceId, host: ingress?.http?.host ?? '', path: ingress?.http?.path ?? '', tls: ingress?.tls ?? false }));
}

/** TLS is part of it: of a rule that changes from one to the other a service holds both while it may be rolled back. */
function httpClaimKey({ serviceId, host, path, tls }: HttpClaim): string {
  return [serviceId, host, path, tls ? '1' : ''].join(' ');
}

function isHost({ mode }: PortSpec): boolean {
  return mode === PortMode.HOST;
}

function isExclusive(port: PortSpec): boolean {
  return !isHost(port) && port.protocol !== PortProtocol.HTTP;
}
