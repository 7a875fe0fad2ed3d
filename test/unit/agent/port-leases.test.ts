import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CanBind, openPortLeases, type PortLeases } from '../../../agent/ports/port-leases.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import { PortMode, PortProtocol, PortSpec } from '../../../proto/index.ts';
import { httpPort, publish } from '../../support/service-specs.ts';
import { manualClock } from '../../support/manual-clock.ts';

const MINUTE = 60_000;
const NEVER = new AbortController().signal;
const web = PortSpec.create({ targetPort: 80, publishedPort: 8080 });

describe('port leases', () => {
  let dataDir: string;
  let clock = manualClock();
  const open = (last = 20_009, canBind: CanBind = () => Promise.resolve(true)): PortLeases =>
    openPortLeases({ dataDir, dataAddress: '127.0.0.1', clock, log: silentLogger, range: { first: 20_000, last }, canBind });
  const port = async (leases: PortLeases, taskId: string): Promise<number> => (await leases.lease(taskId, [web], NEVER))[0]?.nodePort ?? 0;

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'shoal-ports-'));
    clock = manualClock();
  });
  afterEach(() => {
    rmSync(dataDir, { recursive: true });
  });

  it('go round robin, and are the same again for the same task', async () => {
    const leases = open();
    assert.deepEqual([await port(leases, 'a'), await port(leases, 'b'), await port(leases, 'a')], [20_000, 20_001, 20_000]);
  });

  it('do not come back within ten minutes of their release, even where nothing else is free', async () => {
    const leases = open(20_001);
    await port(leases, 'a');
    await port(leases, 'b');
    leases.release('a');
    clock.advance(10 * MINUTE - 1);
    await assert.rejects(port(leases, 'c'), (error) => error instanceof ShoalError && error.code === 'resource_exhausted');
    clock.advance(1);
    assert.equal(await port(leases, 'c'), 20_000);
  });

  it('survive a restart, and what cooled then cools anew', async () => {
    const before = open(20_002);
    await port(before, 'a');
    await port(before, 'b');
    before.release('a');
    clock.advance(9 * MINUTE);
    await port(before, 'c');
    clock = manualClock();
    const after = open(20_002);
    assert.equal(await port(after, 'b'), 20_001);
    clock.advance(9 * MINUTE);
    await assert.rejects(port(after, 'd'));
    clock.advance(MINUTE);
    assert.equal(await port(after, 'd'), 20_000);
  });

  it('pass over ports that another program holds', async () => {
    const leases = open(20_009, (_protocol, _address, tried) => Promise.resolve(tried % 2 === 1));
    assert.deepEqual([await port(leases, 'a'), await port(leases, 'b')], [20_001, 20_003]);
  });

  it('ask the system whether a port can be bound', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const held = (holder.address() as { readonly port: number }).port;
    const leases = openPortLeases({ dataDir, dataAddress: '127.0.0.1', clock, log: silentLogger, range: { first: held, last: held } });
    await assert.rejects(port(leases, 'a'), /held by other programs/);
    await new Promise((resolve) => holder.close(resolve));
    assert.equal(await port(leases, 'b'), held);
  });

  it('say why where the data address is none of this host, and that trying again does not help', async () => {
    const options = { dataDir, dataAddress: '203.0.113.254', clock, log: silentLogger };
    for (const protocol of [PortProtocol.TCP, PortProtocol.UDP]) {
      const leasing = openPortLeases(options).lease('a', [PortSpec.create({ ...web, protocol })], NEVER);
      await assert.rejects(leasing, (error) => {
        assert.ok(error instanceof ShoalError && !error.retryable);
        assert.match(error.message, /data address 203\.0\.113\.254: it is not an address of this host; its addresses are .*127\.0\.0\.1/);
        return true;
      });
    }
  });

  it('are one per target, and a host port is the published one on all addresses', async () => {
    const specs = [
      web,
      PortSpec.create({ targetPort: 80, publishedPort: 8081 }),
      PortSpec.create({ targetPort: 53, publishedPort: 53, protocol: PortProtocol.UDP, mode: PortMode.HOST }),
      PortSpec.create({ targetPort: 54, protocol: PortProtocol.UDP, mode: PortMode.HOST }),
    ];
    assert.deepEqual(await open().lease('a', specs, NEVER), [
      { protocol: 'tcp', targetPort: 80, nodePort: 20_000, host: false },
      { protocol: 'udp', targetPort: 53, nodePort: 53, host: true },
      { protocol: 'udp', targetPort: 54, nodePort: 20_001, host: true },
    ]);
  });

  it('are a TCP port where it is read as HTTP, the same for all rules, and another one for UDP', async () => {
    const specs = [
      httpPort(80, 3000, 'a'),
      httpPort(80, 3000, 'b', '/api'),
      publish(8080, 3000),
      publish(3000, 3000, { protocol: PortProtocol.UDP }),
    ];
    assert.deepEqual(await open().lease('a', specs, NEVER), [
      { protocol: 'tcp', targetPort: 3000, nodePort: 20_000, host: false },
      { protocol: 'udp', targetPort: 3000, nodePort: 20_001, host: false },
    ]);
  });

  it('ask the system whether a UDP port can be bound', async () => {
    const holder = createSocket('udp4');
    await new Promise<void>((resolve) => holder.bind(0, '127.0.0.1', resolve));
    const held = holder.address().port;
    const leases = openPortLeases({ dataDir, dataAddress: '127.0.0.1', clock, log: silentLogger, range: { first: held, last: held } });
    const dns = publish(53, 53, { protocol: PortProtocol.UDP });
    await assert.rejects(leases.lease('a', [dns], NEVER), /held by other programs/);
    await new Promise<void>((resolve) => {
      holder.close(resolve);
    });
    assert.deepEqual(await leases.lease('b', [dns], NEVER), [{ protocol: 'udp', targetPort: 53, nodePort: held, host: false }]);
  });

  it('never give one port to two tasks that ask at once', async () => {
    const leases = open(20_003, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return true;
    });
    const ports = await Promise.all(['a', 'b', 'c', 'd'].map((taskId) => port(leases, taskId)));
    assert.equal(new Set(ports).size, 4);
  });

  it('keep the ports of a task that was found running from others', async () => {
    const leases = open(20_001);
    leases.adopt('a', [{ protocol: 'tcp', targetPort: 80, nodePort: 20_000, host: false }]);
    assert.equal(await port(leases, 'b'), 20_001);
  });

  it('release what no task has any more after a restart', async () => {
    await port(open(20_000), 'a');
    const leases = open(20_000);
    leases.retain(new Set(['other']));
    clock.advance(10 * MINUTE);
    assert.equal(await port(leases, 'b'), 20_000);
  });
});
