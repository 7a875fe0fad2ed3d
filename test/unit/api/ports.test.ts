import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import { seededRng } from '../../../lib/rng.ts';
import { claimPorts, DYNAMIC_PORTS, fillPublishedPorts } from '../../../manager/api/services/ports.ts';
import { type ClusterState, portId, TransactionBuilder } from '../../../manager/state/index.ts';
import { PortClaim, PortMode, PortProtocol, type PortSpec, Service } from '../../../proto/index.ts';
import { publish } from '../../support/service-specs.ts';
import { row, type RowWrite, stateWith } from '../../support/state-rows.ts';

const HOST = { mode: PortMode.HOST };

function claim(port: number, objectId: string, hostServiceIds: readonly string[] = []): RowWrite {
  return row('byPort', portId(PortProtocol.TCP, port), PortClaim.create({ objectId, hostServiceIds }));
}

function services(...names: readonly string[]): RowWrite[] {
  return names.map((name) => row('services', name, Service.create({ id: name, name })));
}

/** What the transaction does to the claim rows: "put tcp/80", "delete tcp/80". */
function writes(state: ClusterState, serviceId: string, after: readonly PortSpec[], before: readonly PortSpec[]): string[] {
  const builder = new TransactionBuilder();
  claimPorts(builder, state, serviceId, after, before);
  const { ops, compare } = builder.build();
  for (const { key } of ops)
    assert.ok(
      compare.some((other) => other.key === key && 'modRevision' in other),
      'every write compares what it replaces',
    );
  return ops.map((op) => `${op.type} ${op.key.replace('by-port/', '')}`).sort();
}

function refusal(state: ClusterState, serviceId: string, after: readonly PortSpec[]): ShoalError {
  try {
    claimPorts(new TransactionBuilder(), state, serviceId, after, []);
  } catch (error) {
    return ShoalError.from(error);
  }
  return assert.fail('the ports were claimed');
}

describe('published ports', () => {
  const fill = (state: ClusterState, wanted: readonly PortSpec[], before: readonly PortSpec[] = []): number[] =>
    fillPublishedPorts(state, wanted, before, seededRng(1)).map((port) => port.publishedPort);

  it('that nobody chose come from the dynamic range, each another one', () => {
    const ports = fill(stateWith(), [publish(0, 80), publish(0, 81), publish(0, 80)]);
    assert.equal(new Set(ports).size, 3);
    for (const port of ports) assert.ok(port >= DYNAMIC_PORTS.first && port <= DYNAMIC_PORTS.last);
  });

  it('stay what they were over updates, by target', () => {
    const before = [publish(31_000, 80), publish(31_001, 81)];
    assert.deepEqual(fill(stateWith(), [publish(0, 81), publish(0, 80), publish(8080, 82)], before), [31_001, 31_000, 8080]);
  });

  it('do not stay where another entry asks for the number', () => {
    const ports = fill(stateWith(), [publish(0, 80), publish(31_000, 81)], [publish(31_000, 80)]);
    assert.notEqual(ports[0], 31_000);
  });

  it('pass over what others hold, up to the last free one', () => {
    const all = Array.from({ length: DYNAMIC_PORTS.last - DYNAMIC_PORTS.first + 1 }, (_, index) => DYNAMIC_PORTS.first + index);
    const free = 30_123;
    const state = stateWith(...all.filter((port) => port !== free).map((port) => claim(port, 'other')));
    assert.deepEqual(fill(state, [publish(0, 80)]), [free]);
    assert.throws(() => fill(state, [publish(0, 80), publish(0, 81)]), { code: 'resource_exhausted' });
  });

  it('in host mode may stay open', () => {
    assert.deepEqual(fill(stateWith(), [publish(0, 80, HOST)]), [0]);
  });
});

describe('port claims', () => {
  it('are made for new ports, left for kept ones and given back for dropped ones', () => {
    const state = stateWith(...services('web'), claim(80, 'web'), claim(81, 'web'));
    assert.deepEqual(writes(state, 'web', [publish(80, 1), publish(82, 1)], [publish(80, 1), publish(81, 1)]), [
      'delete tcp/81',
      'put tcp/82',
    ]);
  });

  it('that are counted on are compared: the leader may be about to give one back', () => {
    const state = stateWith(...services('web'), claim(80, 'web'));
    const builder = new TransactionBuilder();
    claimPorts(builder, state, 'web', [publish(80, 1)], [publish(80, 1)]);
    const { ops, compare } = builder.build();
    assert.deepEqual([ops.length, compare.map(({ key }) => key)], [0, ['by-port/tcp/80']]);
  });

  it('are refused with the name of the holder, all at once', () => {
    const error = refusal(stateWith(...services('web', 'api'), claim(8080, 'web'), claim(8081, 'api')), 'new', [
      publish(8080, 80),
      publish(8082, 80),
      publish(8081, 80, HOST),
    ]);
    assert.equal(error.code, 'conflict');
    assert.match(error.message, /port 8080\/tcp is already published by service web; port 8081\/tcp is already published by service api/);
    assert.deepEqual(
      error.fields.map((field) => field.path),
      ['ports[0].publishedPort', 'ports[2].publishedPort'],
    );
  });

  it('keep tcp and udp apart', () => {
    const state = stateWith(...services('web'), claim(53, 'web'));
    assert.deepEqual(writes(state, 'dns', [publish(53, 53, { protocol: PortProtocol.UDP })], []), ['put udp/53']);
  });

  it('of host ports are shared, but not with an ingress port', () => {
    const state = stateWith(...services('one', 'two'), claim(9000, '', ['one']));
    assert.deepEqual(writes(state, 'two', [publish(9000, 1, HOST)], []), ['put tcp/9000']);
    assert.match(refusal(state, 'two', [publish(9000, 1)]).message, /used in host mode by service one/);
    assert.deepEqual(writes(state, 'one', [], [publish(9000, 1, HOST)]), ['delete tcp/9000']);
    const shared = stateWith(...services('one', 'two'), claim(9000, '', ['one', 'two']));
    assert.deepEqual(writes(shared, 'one', [], [publish(9000, 1, HOST)]), ['put tcp/9000']);
  });

  it('change between host and ingress within one service', () => {
    const state = stateWith(...services('one'), claim(9000, '', ['one']));
    assert.deepEqual(writes(state, 'one', [publish(9000, 1)], [publish(9000, 1, HOST)]), ['put tcp/9000']);
  });

  it('of another service are never given back', () => {
    const state = stateWith(...services('web'), claim(80, 'web'));
    assert.deepEqual(writes(state, 'other', [], [publish(80, 1)]), []);
  });
});
