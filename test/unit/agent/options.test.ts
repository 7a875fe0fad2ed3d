import assert from 'node:assert/strict';
import { type AgentFlags, type AgentSettings, checkAgentFlags } from '../../../agent/options.ts';
import { foreignAddress } from '../../../agent/ports/bindable.ts';
import { ShoalError } from '../../../lib/errors.ts';

const FLAGS: AgentFlags = {
  manager: ['127.0.0.1:7420'],
  dataDir: '/tmp/x',
  meshPortOffset: '0',
  runtime: 'docker',
  healthAddr: '127.0.0.1:7422',
  gcInterval: '5m',
  gcContainersPerSlot: '5',
  gcContainers: '100',
  gcImageSize: '10GiB',
  gcImageAge: '168h',
  ephemeral: false,
  purge: false,
  logLevel: 'info',
  logFormat: 'auto',
};

function check(flags: Partial<AgentFlags>): AgentSettings {
  return checkAgentFlags({ ...FLAGS, ...flags });
}

function wrong(flags: Partial<AgentFlags>): readonly string[] {
  try {
    check(flags);
  } catch (error) {
    if (error instanceof ShoalError) return error.fields.map((field) => field.path);
    throw error;
  }
  return [];
}

describe('agent flags', () => {
  it('name a manager that is needed beside what else is', () => {
    const { manager: _none, ...alone } = FLAGS;
    const paths = (known: boolean, purge = false): readonly string[] => {
      try {
        checkAgentFlags({ ...alone, purge }, undefined, [], known);
        return [];
      } catch (error) {
        assert.ok(error instanceof ShoalError);
        return error.fields.map(({ path }) => path);
      }
    };
    assert.deepEqual(paths(false), ['--manager', '--data-addr']);
    assert.deepEqual(paths(true), ['--data-addr']);
    assert.deepEqual(paths(false, true), []);
  });

  it('take generic resources, counted or named', () => {
    assert.deepEqual(check({ genericResource: ['gpu=uuid1', 'gpu=uuid2,licence=5'] }).genericResources, [
      { kind: 'gpu', count: 2, names: ['uuid1', 'uuid2'] },
      { kind: 'licence', count: 5, names: [] },
    ]);
    for (const texts of [
      ['gpu'],
      ['=2'],
      ['gpu='],
      ['gpu=2', 'gpu=uuid1'],
      ['gpu=uuid1', 'gpu=2'],
      ['gpu=1', 'gpu=2'],
      ['gpu=a', 'gpu=a'],
    ]) {
      assert.deepEqual(wrong({ genericResource: texts }), ['--generic-resource'], texts.join(' '));
    }
  });

  it('take 127.0.0.1 as data address beside a manager there, and need one elsewhere', () => {
    assert.equal(check({}).dataAddress, '127.0.0.1');
    assert.deepEqual(wrong({ manager: ['10.0.0.1:7420'] }), ['--data-addr']);
    assert.equal(check({ manager: ['10.0.0.1:7420'], dataAddr: '10.0.0.2' }).dataAddress, '10.0.0.2');
    assert.deepEqual(wrong({ dataAddr: '0.0.0.0' }), ['--data-addr']);
  });

  it('refuse a data address that is none of this host, and name those that are', async () => {
    assert.equal(await foreignAddress('127.0.0.1'), undefined);
    // Of a network for documentation: no host has it.
    const foreign = await foreignAddress('203.0.113.254');
    assert.match(foreign ?? '', /^203\.0\.113\.254 is not an address of this host; its addresses are .*127\.0\.0\.1/);
    assert.throws(
      () => checkAgentFlags({ ...FLAGS, dataAddr: '203.0.113.254', runtime: 'x' }, foreign),
      /--data-addr: 203.* is not .*; --runtime|--runtime.*--data-addr/,
    );
  });

  it('are read into units', () => {
    const settings = check({ cpus: '1.5', memory: '64m', label: ['zone=a=b', 'ssd'], healthAddr: 'none' });
    assert.equal(settings.nanoCpus, 1.5e9);
    assert.equal(settings.memoryBytes, 64 * 2 ** 20);
    assert.deepEqual(settings.labels, { zone: 'a=b', ssd: '' });
    assert.equal(settings.health, undefined);
  });

  it('say what is kept on the host, without a bound where they say "none"', () => {
    assert.deepEqual(check({}).housekeeping, {
      intervalMs: 300_000,
      finished: { perSlot: 5, perNode: 100 },
      images: { bytes: 10 * 2 ** 30, ageMs: 7 * 86_400_000 },
    });
    const none = check({ gcInterval: 'none', gcImageSize: 'none', gcImageAge: 'none' }).housekeeping;
    assert.deepEqual([none.intervalMs, none.images], [Infinity, { bytes: Infinity, ageMs: Infinity }]);
    const bad = { gcInterval: '1s', gcContainersPerSlot: '-1', gcContainers: 'many', gcImageSize: '10 apples', gcImageAge: '7d' };
    assert.deepEqual(wrong(bad), ['--gc-interval', '--gc-containers-per-slot', '--gc-containers', '--gc-image-size', '--gc-image-age']);
  });

  it('are all named at once when they are wrong', () => {
    const flags = {
      manager: ['nowhere', 'host:99999'],
      dataAddr: 'localhost',
      meshListen: ['eth0'],
      meshPortOffset: '-1',
      runtime: 'podmann',
      label: ['=x'],
      hostname: 'a b',
      healthAddr: '7422',
      meshHealthAddr: 'x',
      cpus: '-1',
      memory: '1k',
      logLevel: 'loud',
      logFormat: 'xml',
    };
    assert.deepEqual(
      new Set(wrong(flags)),
      new Set([
        '--manager',
        '--data-addr',
        '--mesh-listen',
        '--mesh-port-offset',
        '--runtime',
        '--label',
        '--hostname',
        '--health-addr',
        '--mesh-health-addr',
        '--cpus',
        '--memory',
        '--log-level',
        '--log-format',
      ]),
    );
    assert.equal(wrong(flags).filter((path) => path === '--manager').length, 2);
  });
});
