// The etcd driver where etcd itself refuses: out of space, without authorization, or having dropped the driver's lease.
import assert from 'node:assert/strict';
import { Etcd3 } from 'etcd3';
import { systemClock } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import { systemRng } from '../../../lib/rng.ts';
import { type EtcdStoreOptions, openEtcdStore } from '../../../manager/store/etcd/index.ts';
import type { Store } from '../../../manager/store/store.ts';
import { startEtcd, type TestEtcd } from '../../support/etcd.ts';
import { requirement } from '../../support/requirements.ts';
import { put, readWatch, remove, write } from '../../support/store-watch.ts';
import { until } from '../../support/until.ts';

describe('the etcd store where etcd refuses', function () {
  this.timeout(30_000);
  let etcd: TestEtcd | undefined;
  let admin: Etcd3 | undefined;
  let store: Store | undefined;

  before(function () {
    requirement(this, 'etcd');
  });

  afterEach(async () => {
    await store?.close();
    admin?.close();
    await etcd?.stop();
    store = undefined;
    admin = undefined;
    etcd = undefined;
  });

  const start = async (...args: readonly string[]): Promise<Etcd3> => {
    etcd = await startEtcd({ args });
    admin = new Etcd3({ hosts: etcd.url });
    return admin;
  };
  const openStore = async (more: Partial<EtcdStoreOptions> = {}): Promise<Store> => {
    const endpoints = [etcd?.url ?? ''];
    store = await openEtcdStore({ endpoints, prefix: '/shoal/', clock: systemClock, rng: systemRng, log: silentLogger, ...more });
    return store;
  };

  it('says that etcd is out of space, still reads, and writes again when there is space', async () => {
    const etcdAdmin = await start('--quota-backend-bytes', String(4 * 1024 * 1024));
    const opened = await openStore();
    const watch = readWatch(opened, '', (await opened.snapshot('')).revision + 1);
    let last = 0;
    const refusal = await (async () => {
      for (;;) {
        try {
          last = await write(opened, put('large', 'x'.repeat(200_000)));
        } catch (error) {
          return error;
        }
      }
    })();
    assert.ok(refusal instanceof ShoalError);
    assert.equal(refusal.code, 'resource_exhausted');
    assert.match(refusal.message, /out of space/);
    await watch.reaches(last);
    await watch.stop();
    assert.equal((await opened.snapshot('')).items[0]?.modRevision, last);
    await opened.compact(last);
    await etcdAdmin.maintenance.defragment();
    const { alarms } = await etcdAdmin.maintenance.alarm({ action: 'Get' });
    for (const { memberID, alarm } of alarms) await etcdAdmin.maintenance.alarm({ action: 'Deactivate', memberID, alarm });
    await write(opened, remove('large'), put('small'));
  });

  it('signs in with a user and password, and says so where that is missing', async () => {
    const etcdAdmin = await start();
    await etcdAdmin.auth.userAdd({ name: 'root', password: 'secret' });
    await etcdAdmin.auth.roleAdd({ name: 'root' });
    await etcdAdmin.auth.userGrantRole({ user: 'root', role: 'root' });
    await etcdAdmin.auth.authEnable();
    const opened = await openStore({ auth: { username: 'root', password: 'secret' } });
    const watch = readWatch(opened, '', (await opened.snapshot('')).revision + 1);
    await watch.reaches(await write(opened, put('a')));
    await watch.stop();
    const lease = await opened.lease(2000);
    const first = lease.deadlineMs;
    await until(() => lease.deadlineMs > first, 'the lease is renewed');
    await opened.close();
    await assert.rejects(openStore({ auth: { username: 'root', password: 'wrong' } }), { code: 'permission_denied' });
  });

  it('goes on when the lease of its own bookkeeping was ended behind its back', async () => {
    const etcdAdmin = await start();
    const opened = await openStore();
    const revisions = [await write(opened, put('a'))];
    const { leases } = await etcdAdmin.leaseClient.leaseLeases();
    for (const { ID } of leases) await etcdAdmin.leaseClient.leaseRevoke({ ID });
    for (let index = 0; index < 50; index++) revisions.push(await write(opened, put('a', String(index))));
    assert.deepEqual(
      revisions,
      [...new Set(revisions)].sort((left, right) => left - right),
    );
  });

  it('names every bad option at once', async () => {
    await assert.rejects(openStore({ endpoints: ['10.0.0.1:2379', 'https://x'], prefix: '/shoal' }), (error) => {
      assert.ok(error instanceof ShoalError);
      assert.deepEqual(
        error.fields.map((field) => field.path),
        ['endpoints', 'endpoints', 'prefix'],
      );
      return true;
    });
  });
});
