import assert from 'node:assert/strict';
import { ShoalError } from '../../../lib/errors.ts';
import { checkManagerFlags, type ManagerFlags } from '../../../manager/options.ts';

const FLAGS: ManagerFlags = {
  etcdPrefix: '/shoal/',
  dataDir: '/tmp/x',
  listen: '127.0.0.1:7420',
  insecure: false,
  healthAddr: 'none',
  logLevel: 'info',
  logFormat: 'auto',
};

function refusal(flags: Partial<ManagerFlags>): ShoalError {
  try {
    checkManagerFlags({ ...FLAGS, ...flags });
  } catch (error) {
    if (error instanceof ShoalError) return error;
    throw error;
  }
  return assert.fail('it is taken');
}

describe('manager flags', () => {
  const paths = (flags: Partial<ManagerFlags>) => refusal(flags).fields.map(({ path }) => path);

  it('name --insecure beside all else that is wrong or missing', () => {
    assert.deepEqual(paths({ listen: '0.0.0.0:7999' }), ['--advertise-addr', '--insecure']);
    assert.deepEqual(paths({ listen: '192.0.2.2:7999', healthAddr: 'foo', etcd: ['ftp://x'] }), ['--health-addr', '--etcd', '--insecure']);
    assert.deepEqual(paths({ listen: '0.0.0.0:7999', insecure: true }), ['--advertise-addr']);
    assert.deepEqual(paths({ listen: 'x', healthAddr: 'foo' }), ['--listen', '--health-addr']);
  });

  it('refuse an open port without --insecure as denied, where that is all', () => {
    assert.equal(refusal({ listen: '192.0.2.2:7999' }).code, 'permission_denied');
  });
});
