// Who takes and gives up which published port by a change of its spec (the rows: manager/state/port-claims.ts; who is in the way: held-ports.ts).
import { ShoalError } from '../../../lib/errors.ts';
import { randomInt, type Rng } from '../../../lib/rng.ts';
import { PortClaim, PortMode, PortProtocol, type PortSpec } from '../../../proto/index.ts';
import { claimAfter, portId, portsByRow, sameClaim, type StateView, type TransactionBuilder } from '../../state/index.ts';
import { sameRule, sharesPort } from '../validate/http-rule.ts';
import { refuseHeldPorts } from './held-ports.ts';

/** Where published ports come from that nobody chose (Docker's range). */
export const DYNAMIC_PORTS = { first: 30_000, last: 32_767 } as const;
const DYNAMIC_COUNT = DYNAMIC_PORTS.last - DYNAMIC_PORTS.first + 1;

/** The store's limit for one value is 1.5 MB. */
const MAX_CLAIM_BYTES = 1_000_000;

/**
 * The ports with every ingress port's number filled in: the one that `before` had for the same target where there is one, else a free one. HTTP
 * rules of one service get one number for all of them, where they can share it. Throws `resource_exhausted` when none is left.
 */
export function fillPublishedPorts(state: StateView, wanted: readonly PortSpec[], before: readonly PortSpec[], rng: Rng): PortSpec[] {
  const taken = wanted.filter(({ publishedPort }) => publishedPort !== 0);
  const chosen: PortSpec[] = [];
  const fits = (port: PortSpec): boolean => taken.every((other) => portIdOf(other) !== portIdOf(port) || sharesPort(other, port));
  const withNumber = (port: PortSpec, candidates: readonly PortSpec[]): PortSpec | undefined => {
    const numbered = candidates.map(({ publishedPort }) => ({ ...port, publishedPort })).find(fits);
    if (numbered !== undefined) taken.push(numbered);
    return numbered;
  };
  const kept = wanted.map((port) => {
    if (!isOpen(port)) return port;
    const earlier = before.filter((old) => old.mode === port.mode && sameTarget(old, port));
    // Of several, the one that it had.
    const same = earlier.filter((old) => old.protocol === port.protocol && sameRule(old, port));
    const numbered = withNumber(port, [...same, ...earlier]);
    if (numbered !== undefined) chosen.push(numbered);
    return numbered ?? port;
  });
  return kept.map((port) => {
    if (!isOpen(port)) return port;
    const shared = port.protocol === PortProtocol.HTTP ? withNumber(port, chosen) : undefined;
    if (shared !== undefined) return shared;
    const start = randomInt(rng, DYNAMIC_COUNT);
    for (let step = 0; step < DYNAMIC_COUNT; step++) {
      const numbered = { ...port, publishedPort: DYNAMIC_PORTS.first + ((start + step) % DYNAMIC_COUNT) };
      if (state.get('byPort', portIdOf(numbered)) !== undefined || taken.some((other) => portIdOf(other) === portIdOf(numbered))) continue;
      taken.push(numbered);
      chosen.push(numbered);
      return numbered;
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
 * Throws one `conflict` that names every port that is held by others, and by whom; `resource_exhausted` where too many share one.
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
  const wanted = portsByRow([...kept, ...after]);
  for (const key of new Set([...wanted.keys(), ...portsByRow(before).keys()])) {
    const row = state.get('byPort', key);
    const claim = claimAfter(row?.value, serviceId, wanted.get(key) ?? []);
    if (claim === undefined) {
      if (row !== undefined) builder.delete('byPort', row);
    } else if (row === undefined || !sameClaim(row.value, claim)) {
      refuseTooManyRules(key, claim);
      builder.put('byPort', key, claim, row);
    }
    // The leader may be about to give it back.
    else builder.require('byPort', row);
  }
}

function refuseTooManyRules(key: string, claim: PortClaim): void {
  if (PortClaim.encode(claim).length <= MAX_CLAIM_BYTES) return;
  throw new ShoalError(
    'resource_exhausted',
    `port ${key.replace(/^tcp\//, '')} is shared by ${claim.http.length} HTTP rules, and no more are taken: publish another port`,
    { retryable: false },
  );
}

function isOpen(port: PortSpec): boolean {
  return port.mode === PortMode.INGRESS && port.publishedPort === 0;
}

function portIdOf({ protocol, publishedPort }: PortSpec): string {
  return portId(protocol, publishedPort);
}

/** HTTP is spoken over TCP. */
function sameTarget(one: PortSpec, other: PortSpec): boolean {
  return one.targetPort === other.targetPort && (one.protocol === PortProtocol.UDP) === (other.protocol === PortProtocol.UDP);
}
