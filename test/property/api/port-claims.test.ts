// Services that come, change and go, in any order: nobody ever holds what is another's, and nothing is left behind.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ShoalError } from '../../../lib/errors.ts';
import { claimPorts } from '../../../manager/api/services/ports.ts';
import { claimKeeping, portsByRow, TransactionBuilder } from '../../../manager/state/index.ts';
import { PortClaim, PortMode, PortProtocol, type PortSpec } from '../../../proto/index.ts';
import { httpPort, publish } from '../../support/service-specs.ts';
import { row } from '../../support/state-rows.ts';
import { stateWorld, type StateWorld } from '../../support/state-world.ts';

const SERVICES = ['a', 'b', 'c'];

const port: fc.Arbitrary<PortSpec> = fc.oneof(
  fc.constantFrom(80, 81).map((number) => publish(number, 1)),
  fc.constant(publish(80, 1, { mode: PortMode.HOST })),
  fc.constant(publish(80, 1, { protocol: PortProtocol.UDP })),
  fc
    .tuple(fc.constantFrom('', 'x'), fc.constantFrom('/', '/api'), fc.boolean())
    .map(([host, path, tls]) => httpPort(80, 1, host, path, { tls })),
);
/** What a service asks for next, and whether the leader may still go back to what it has. */
const step = fc.record({
  service: fc.constantFrom(...SERVICES),
  // Of each number one use, or HTTP rules that agree: what a single spec may not have, is refused before claims are looked at.
  ports: fc.uniqueArray(port, {
    maxLength: 3,
    selector: (each) => `${String(each.protocol === PortProtocol.UDP)}/${String(each.publishedPort)}`,
  }),
  mayTurn: fc.boolean(),
});

interface Held {
  readonly now: readonly PortSpec[];
  readonly fallback: readonly PortSpec[];
}

function write(world: StateWorld, id: string, claim: PortClaim | undefined): void {
  if (claim === undefined) world.change([], [['byPort', id]]);
  else world.change([row('byPort', id, claim)]);
}

function take(
  world: StateWorld,
  service: string,
  after: readonly PortSpec[],
  before: readonly PortSpec[],
  kept: readonly PortSpec[],
): boolean {
  const builder = new TransactionBuilder();
  try {
    claimPorts(builder, world.state, service, after, before, kept);
  } catch (error) {
    assert.equal(ShoalError.from(error).code, 'conflict');
    return false;
  }
  for (const op of builder.build().ops)
    write(world, op.key.replace('by-port/', ''), op.type === 'put' ? PortClaim.decode(op.value) : undefined);
  return true;
}

/** As the leader does it. */
function release(world: StateWorld, service: string, gone: readonly PortSpec[], kept: readonly PortSpec[]): void {
  for (const id of portsByRow(gone).keys()) {
    const claim = world.state.get('byPort', id)?.value;
    if (claim !== undefined) write(world, id, claimKeeping(claim, service, portsByRow(kept).get(id) ?? []));
  }
}

function checkClaims(world: StateWorld): void {
  for (const { id, value } of world.state.all('byPort')) {
    const { objectId, hostServiceIds, http } = value;
    const publishers = new Set([objectId, ...http.map(({ serviceId }) => serviceId)].filter(Boolean));
    if (objectId !== '') assert.equal(publishers.size, 1, `${id} belongs to ${objectId}, and others share it`);
    if (publishers.size > 0)
      assert.ok(
        hostServiceIds.every((service) => publishers.has(service) && publishers.size === 1),
        `${id} is published, and used in host mode by others`,
      );
    if (publishers.size > 1) assert.equal(new Set(http.map(({ tls }) => tls)).size, 1, `${id} is served with TLS and without`);
    const holders = new Map<string, string>();
    for (const { serviceId, host, path } of http) {
      const rule = `${host}${path}`;
      assert.equal(holders.get(rule) ?? serviceId, serviceId, `${id} ${rule} has two holders`);
      holders.set(rule, serviceId);
    }
  }
}

describe('claims of published ports', () => {
  it('are held by nobody besides their holders, and by nobody once all services are gone', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const world = stateWorld();
        const held = new Map<string, Held>();
        for (const { service, ports, mayTurn } of steps) {
          const { now, fallback } = held.get(service) ?? { now: [], fallback: [] };
          const kept = mayTurn ? [...now, ...fallback] : [];
          if (!take(world, service, ports, [...now, ...fallback], kept)) continue;
          held.set(service, { now: ports, fallback: kept });
          checkClaims(world);
          for (const each of ports)
            assert.ok(world.state.get('byPort', [...portsByRow([each]).keys()][0] ?? ''), 'what is granted is held');
        }
        for (const [service, { now, fallback }] of held) {
          release(world, service, [...now, ...fallback], now);
          checkClaims(world);
          assert.ok(take(world, service, [], now, []));
        }
        assert.deepEqual(
          [...world.state.all('byPort')].map(({ id }) => id),
          [],
        );
      }),
      { numRuns: 300 },
    );
  });
});
