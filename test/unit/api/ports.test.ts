import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import { seededRng } from '../../../lib/rng.ts';
import { claimPorts, DYNAMIC_PORTS, fillPublishedPorts } from '../../../manager/api/services/ports.ts';
import { type ClusterState, portId, TransactionBuilder } from '../../../manager/state/index.ts';
import { PortClaim, PortMode, PortProtocol, type PortSpec, Service } from '../../../proto/index.ts';
import { httpPort, publish } from '../../support/service-specs.ts';
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

function httpClaims(
  port: number,
  ...rules: readonly (readonly [serviceId: string, host: string, path: string, tls?: boolean])[]
): RowWrite {
  const http = rules.map(([serviceId, host, path, tls = false]) => ({ serviceId, host, path, tls }));
  return row('byPort', portId(PortProtocol.TCP, port), PortClaim.create({ http }));
}

/** The one claim that the transaction writes. */
function claimIn(builder: TransactionBuilder): PortClaim {
  const [op] = builder.build().ops;
  assert.ok(op?.type === 'put');
  return PortClaim.decode(op.value);
}

/** The HTTP rules of the row that it writes. */
function claimed(
  state: ClusterState,
  serviceId: string,
  after: readonly PortSpec[],
  before: readonly PortSpec[] = [],
  kept: readonly PortSpec[] = [],
): readonly string[] {
  const builder = new TransactionBuilder();
  claimPorts(builder, state, serviceId, after, before, kept);
  return claimIn(builder).http.map(({ serviceId: id, host, path, tls }) => `${id} ${host}${path}${tls ? ' tls' : ''}`);
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

  it('are one for all HTTP rules of a service that can share it, and stay so', () => {
    const [a, b, secure] = [httpPort(0, 3000, 'a'), httpPort(0, 3000, 'b'), httpPort(0, 3000, 'c', '/', { tls: true })];
    const ports = fill(stateWith(), [a, b, secure, publish(0, 80), httpPort(0, 3001, 'a')]);
    assert.equal(ports[0], ports[1]);
    assert.equal(new Set(ports).size, 4, 'neither with TLS, nor as a whole, nor by the same rule');
    const before = [httpPort(31_000, 3000, 'a'), httpPort(31_001, 3000, 'b')];
    assert.deepEqual(fill(stateWith(), [b, a], before), [31_001, 31_000]);
    assert.deepEqual(fill(stateWith(), [httpPort(0, 3000, 'new'), a], before), [31_000, 31_000]);
  });

  it('stay what they were where TCP is read as HTTP from now on', () => {
    assert.deepEqual(fill(stateWith(), [httpPort(0, 80)], [publish(31_000, 80)]), [31_000]);
    assert.deepEqual(fill(stateWith(), [publish(0, 80)], [httpPort(31_000, 80)]), [31_000]);
    assert.notDeepEqual(fill(stateWith(), [publish(0, 80, { protocol: PortProtocol.UDP })], [publish(31_000, 80)]), [31_000]);
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

  it('of HTTP are shared, each rule with one holder', () => {
    const state = stateWith(...services('web', 'api'), httpClaims(80, ['web', 'app.example.com', '/'], ['web', '', '/web']));
    assert.deepEqual(claimed(state, 'api', [httpPort(80, 3000, 'app.example.com', '/api')]), [
      'api app.example.com/api',
      'web /web',
      'web app.example.com/',
    ]);
    const error = refusal(state, 'api', [httpPort(80, 1, 'app.example.com'), httpPort(80, 1, '', '/web'), httpPort(80, 1, '', '/free')]);
    assert.deepEqual(
      error.fields.map(({ path, message }) => `${path}: ${message}`),
      [
        'ports[0].ingress.http: app.example.com/ on port 80/tcp is already published by service web',
        'ports[1].ingress.http: every host, /web on port 80/tcp is already published by service web',
      ],
    );
  });

  it('of HTTP and of a whole port exclude each other', () => {
    const shared = stateWith(...services('web', 'api'), httpClaims(80, ['web', '', '/']));
    assert.match(
      refusal(shared, 'api', [publish(80, 1)]).message,
      /published by service web, as http: only with protocol http can it be shared/,
    );
    assert.match(refusal(shared, 'api', [publish(80, 1, HOST)]).message, /published by service web/);
    const whole = stateWith(...services('web'), claim(80, 'web'), claim(81, '', ['web']));
    assert.match(refusal(whole, 'api', [httpPort(80, 1)]).message, /80\/tcp is already published by service web/);
    assert.match(refusal(whole, 'api', [httpPort(81, 1)]).message, /81\/tcp is already used in host mode by service web/);
    assert.deepEqual(writes(shared, 'api', [publish(80, 1, { protocol: PortProtocol.UDP })], []), ['put udp/80']);
  });

  it('of HTTP agree on TLS', () => {
    const state = stateWith(...services('web'), httpClaims(443, ['web', 'a', '/', true]));
    assert.deepEqual(refusal(state, 'api', [httpPort(443, 1, 'b')]).fields, [
      {
        path: 'ports[0].ingress.tls',
        message: 'port 443/tcp is asked for without TLS, but service web has it with: all who share a port must agree',
      },
    ]);
    assert.deepEqual(claimed(state, 'api', [httpPort(443, 1, 'b', '/', { tls: true })]), ['api b/ tls', 'web a/ tls']);
    assert.deepEqual(claimed(state, 'web', [httpPort(443, 1, 'a')]), ['web a/']);
  });

  it('of HTTP are given back rule by rule, and kept where the leader may go back to them', () => {
    const state = stateWith(...services('web', 'api'), httpClaims(80, ['api', '', '/api'], ['web', '', '/old']));
    const [old, fresh] = [httpPort(80, 1, '', '/old'), httpPort(80, 1, '', '/new')];
    assert.deepEqual(claimed(state, 'web', [fresh], [old]), ['api /api', 'web /new']);
    assert.deepEqual(claimed(state, 'web', [fresh], [old], [old]), ['api /api', 'web /new', 'web /old']);
    assert.deepEqual(claimed(state, 'web', [], [old]), ['api /api']);
    assert.deepEqual(writes(stateWith(httpClaims(80, ['web', '', '/'])), 'web', [], [httpPort(80, 1)]), ['delete tcp/80']);
  });

  it('are held in the old way and the new one while the leader may go back', () => {
    const state = stateWith(...services('web'), claim(80, 'web'));
    const builder = new TransactionBuilder();
    claimPorts(builder, state, 'web', [httpPort(80, 1)], [publish(80, 1)], [publish(80, 1)]);
    const held = stateWith(...services('web'), row('byPort', 'tcp/80', claimIn(builder)));
    assert.match(refusal(held, 'api', [httpPort(80, 1, 'other')]).message, /80\/tcp is already published by service web/);
  });

  it('of HTTP are refused before their row is too large for the store', () => {
    const rules = Array.from({ length: 1100 }, (_, index) => ['web', '', `/${'x'.repeat(900)}${index}`] as const);
    const state = stateWith(...services('web'), httpClaims(80, ...rules));
    const error = refusal(state, 'api', [httpPort(80, 1, 'b')]);
    assert.equal(error.code, 'resource_exhausted');
    assert.match(error.message, /port 80 is shared by 1101 HTTP rules/);
  });

  it('of another service are never given back', () => {
    const state = stateWith(...services('web'), claim(80, 'web'));
    assert.deepEqual(writes(state, 'other', [], [publish(80, 1)]), []);
  });
});
