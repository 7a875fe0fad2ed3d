// Who takes and gives up which published port by a change of its spec (the rows: manager/state/port-claims.ts).
import { type FieldProblem, ShoalError } from '../../../lib/errors.ts';
import { randomInt, type Rng } from '../../../lib/rng.ts';
import { type PortClaim, PortMode, type PortProtocol, type PortSpec } from '../../../proto/index.ts';
import { claimAfter, portId, type StateView, type TransactionBuilder } from '../../state/index.ts';
import { describePort } from '../validate/ports.ts';

/** Where published ports come from that nobody chose (Docker's range). */
export const DYNAMIC_PORTS = { first: 30_000, last: 32_767 } as const;
const DYNAMIC_COUNT = DYNAMIC_PORTS.last - DYNAMIC_PORTS.first + 1;

interface Use {
  readonly protocol: PortProtocol;
  readonly port: number;
  readonly mode: PortMode;
  readonly index: number;
}

/**
 * The ports with every ingress port's number filled in: the one that `before` had for the same target where there is one, else a free one.
 * Throws `resource_exhausted` when none is left.
 */
export function fillPublishedPorts(state: StateView, wanted: readonly PortSpec[], before: readonly PortSpec[], rng: Rng): PortSpec[] {
  const taken = new Set(usesOf(wanted).map((use) => portId(use.protocol, use.port)));
  const isFree = (protocol: PortProtocol, port: number): boolean => !taken.has(portId(protocol, port));
  const kept = wanted.map((port) => {
    if (port.mode !== PortMode.INGRESS || port.publishedPort !== 0) return port;
    const earlier = before.find(
      (old) =>
        old.mode === port.mode &&
        old.protocol === port.protocol &&
        old.targetPort === port.targetPort &&
        isFree(old.protocol, old.publishedPort),
    );
    if (earlier === undefined) return port;
    taken.add(portId(earlier.protocol, earlier.publishedPort));
    return { ...port, publishedPort: earlier.publishedPort };
  });
  return kept.map((port) => {
    if (port.mode !== PortMode.INGRESS || port.publishedPort !== 0) return port;
    const start = randomInt(rng, DYNAMIC_COUNT);
    for (let step = 0; step < DYNAMIC_COUNT; step++) {
      const publishedPort = DYNAMIC_PORTS.first + ((start + step) % DYNAMIC_COUNT);
      const id = portId(port.protocol, publishedPort);
      if (taken.has(id) || state.get('byPort', id) !== undefined) continue;
      taken.add(id);
      return { ...port, publishedPort };
    }
    throw new ShoalError(
      'resource_exhausted',
      `every port from ${DYNAMIC_PORTS.first} to ${DYNAMIC_PORTS.last} is published already: choose one outside of them with published=`,
      { retryable: false },
    );
  });
}

/**
 * Adds to `builder` what it takes that the service holds the ports of `after`, still those of `kept`, and no longer the others of `before`.
 * Throws one `conflict` that names every port that is held by others, and by whom.
 */
export function claimPorts(
  builder: TransactionBuilder,
  state: StateView,
  serviceId: string,
  after: readonly PortSpec[],
  before: readonly PortSpec[],
  kept: readonly PortSpec[] = [],
): void {
  refuseHeldPorts(state, serviceId, after);
  const wanted = new Map(usesOf([...kept, ...after]).map((use) => [portId(use.protocol, use.port), use.mode]));
  const keys = new Set([...wanted.keys(), ...usesOf(before).map((use) => portId(use.protocol, use.port))]);
  for (const key of keys) {
    const row = state.get('byPort', key);
    const claim = claimAfter(row?.value, serviceId, wanted.get(key));
    if (claim === undefined) {
      if (row !== undefined) builder.delete('byPort', row);
    } else if (row === undefined || !isSame(row.value, claim)) builder.put('byPort', key, claim, row);
    // The leader may be about to give it back.
    else builder.require('byPort', row);
  }
}

function usesOf(ports: readonly PortSpec[]): Use[] {
  return ports.map(({ protocol, publishedPort: port, mode }, index) => ({ protocol, port, mode, index })).filter((use) => use.port !== 0);
}

function refuseHeldPorts(state: StateView, serviceId: string, ports: readonly PortSpec[]): void {
  const problems = heldPorts(state, serviceId, ports);
  if (problems.length > 0) throw new ShoalError('conflict', problems.map((problem) => problem.message).join('; '), { fields: problems });
}

/** Each port that others hold, once, and who. `serviceId`: who wants them; empty: a new service. */
export function heldPorts(state: StateView, serviceId: string, ports: readonly PortSpec[]): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const add = (problem: FieldProblem): void => {
    if (!problems.some(({ message }) => message === problem.message)) problems.push(problem);
  };
  for (const { protocol, port, mode, index } of usesOf(ports)) {
    const claim = state.get('byPort', portId(protocol, port))?.value;
    if (claim === undefined) continue;
    const path = `ports[${index}].publishedPort`;
    const name = describePort(protocol, port);
    const hosts = claim.hostServiceIds.filter((id) => id !== serviceId);
    if (claim.objectId !== '' && claim.objectId !== serviceId) {
      add({ path, message: `port ${name} is already published by service ${nameOf(state, claim.objectId)}` });
    } else if (mode === PortMode.INGRESS && hosts.length > 0) {
      const names = hosts
        .map((id) => nameOf(state, id))
        .sort()
        .slice(0, 5);
      add({ path, message: `port ${name} is already used in host mode by service ${names.join(', ')}` });
    }
  }
  return problems;
}

function isSame(one: PortClaim, other: PortClaim): boolean {
  return one.objectId === other.objectId && one.hostServiceIds.join() === other.hostServiceIds.join();
}

function nameOf(state: StateView, serviceId: string): string {
  return state.get('services', serviceId)?.value.name ?? serviceId;
}
