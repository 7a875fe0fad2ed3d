// Writes and leases of the etcd driver when the network and etcd fail.
import assert from 'node:assert/strict';
import { systemClock } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import { CALL_TIMES } from '../../../manager/store/etcd/cluster.ts';
import { openEtcdStore } from '../../../manager/store/etcd/index.ts';
import type { Store } from '../../../manager/store/store.ts';
import { startEtcd, type TestEtcd } from '../../support/etcd.ts';
import { requirement } from '../../support/requirements.ts';
import { put, readWatch, write } from '../../support/store-watch.ts';
import { startTcpRelay, type TcpRelay } from '../../support/tcp-relay.ts';
import { until } from '../../support/until.ts';

const firstRng = { next: () => 0 };
/** Where a test waits for a call to give up. */
const SHORT = { attemptMs: 500, callMs: 1500 };

describe('the etcd store on a failing network', function () {
  this.timeout(60_000);
  let etcd: TestEtcd | undefined;
  let relay: TcpRelay;
  let number = 0;
  let open: Store[] = [];

  before(async function () {
    requirement(this, 'etcd');
    etcd = await startEtcd();
  });

  after(async () => {
    await etcd?.stop();
  });

  beforeEach(async () => {
    number += 1;
    if (etcd !== undefined) relay = await startTcpRelay(etcd);
  });

  afterEach(async () => {
    for (const store of open) await store.close();
    open = [];
    await relay.stop();
  });

  const openStore = async (endpoints: readonly string[], startMs = 10_000, times = CALL_TIMES): Promise<Store> => {
    const prefix = `/faults-${number}/`;
    const store = await openEtcdStore({ endpoints, prefix, clock: systemClock, rng: firstRng, log: silentLogger, startMs, times });
    open.push(store);
    return store;
  };
  const direct = (): Promise<Store> => openStore([etcd?.url ?? '']);

  describe('a write whose answer is lost', () => {
    it('is found to have happened, once', async () => {
      const store = await openStore([relay.url]);
      await write(store, put('before'));
      const watch = readWatch(await direct(), '', (await store.snapshot('')).revision + 1);
      const answered = relay.answeredBytes;
      relay.dropAnswers();
      const commit = store.commit({ compare: [], ops: [put('a')] });
      await until(() => relay.answeredBytes > answered && watch.changes.length > 0, 'etcd has carried it out and answered');
      relay.heal();
      const result = await commit;
      assert.ok(result.committed);
      await watch.reaches(await write(store, put('after')));
      await watch.stop();
      assert.deepEqual(watch.changes, ['put a', 'put after']);
      assert.equal(watch.revisions[0], result.revision);
    });

    it('is found to have met a conflict, with what it met', async () => {
      const store = await openStore([relay.url]);
      const revision = await write(store, put('a'));
      const watch = readWatch(await direct(), '', revision + 1);
      const answered = relay.answeredBytes;
      relay.dropAnswers();
      const commit = store.commit({ compare: [{ key: 'a', modRevision: 0 }], ops: [put('a', 'mine')] });
      await until(() => relay.answeredBytes > answered && watch.messages.length > 0, 'etcd has decided and answered');
      relay.heal();
      const result = await commit;
      assert.ok(!result.committed);
      assert.deepEqual(result.failed, [{ key: 'a', modRevision: 0 }]);
      await watch.stop();
      assert.deepEqual(watch.changes, []);
    });

    it('counts once, whatever happens to the connection meanwhile', async () => {
      const store = await openStore([relay.url]);
      const watch = readWatch(await direct(), '', (await write(store, put('before'))) + 1);
      let done = false;
      const isDone = (): boolean => done;
      const breaking = (async () => {
        for (let round = 0; !isDone(); round++) {
          const answered = relay.answeredBytes;
          if (round % 2 === 0) relay.dropAnswers();
          else relay.cutAfterAnswers(2000);
          await until(() => isDone() || relay.answeredBytes > answered, 'answers have come');
          relay.heal();
          const healed = relay.answeredBytes;
          await until(() => isDone() || relay.answeredBytes > healed + 4000, 'answers get through');
        }
      })();
      const keys = Array.from({ length: 480 }, (_, index) => `k${index}`);
      const todo = [...keys];
      const revisions: number[] = [];
      const work = async (): Promise<void> => {
        // Without a compare, nothing but the driver keeps a second copy from taking effect.
        for (let key = todo.pop(); key !== undefined; key = todo.pop()) revisions.push(await write(store, put(key)));
      };
      try {
        await Promise.all(Array.from({ length: 12 }, work));
      } finally {
        done = true;
        await breaking;
        relay.heal();
      }
      await watch.reaches(Math.max(...revisions));
      await watch.stop();
      assert.deepEqual([...watch.changes].sort(), keys.map((key) => `put ${key}`).sort());
    });
  });

  describe('an endpoint that accepts and never answers', () => {
    it('is passed over when there is another one', async () => {
      relay.mute();
      const store = await openStore([relay.url, etcd?.url ?? '']);
      const watch = readWatch(store, '', (await store.snapshot('')).revision + 1);
      const lease = await store.lease(5000);
      const revision = await write(store, put('a', '', lease.id));
      await watch.reaches(revision);
      await watch.stop();
      await lease.revoke();
    });

    it('ends the opening with a message when it is the only one', async () => {
      relay.mute();
      await assert.rejects(openStore([relay.url], 2000), (error) => {
        assert.ok(error instanceof ShoalError);
        assert.equal(error.code, 'unavailable');
        assert.match(error.message, new RegExp(`${relay.url}.*no answer`));
        return true;
      });
    });

    it('makes a write that was sent an unknown outcome, in bounded time, and is used again when it answers', async () => {
      const store = await openStore([relay.url], 10_000, SHORT);
      await write(store, put('a'));
      relay.mute();
      await assert.rejects(write(store, put('b')), { code: 'outcome_unknown' });
      assert.equal(store.reachable(), false);
      await assert.rejects(store.snapshot(''), { code: 'unavailable' });
      relay.heal();
      await write(store, put('c'));
      assert.equal(store.reachable(), true);
    });

    it('leaves the writes of a signal that aborts', async () => {
      const store = await openStore([relay.url]);
      await write(store, put('a'));
      relay.mute();
      const controller = new AbortController();
      const sent = store.commit({ compare: [], ops: [put('b')] }, controller.signal);
      controller.abort();
      await assert.rejects(sent, (error) => error instanceof ShoalError && ['outcome_unknown', 'cancelled'].includes(error.code));
    });
  });

  it('is certain that a write that found no connection did not happen', async () => {
    const store = await openStore([relay.url], 10_000, SHORT);
    await write(store, put('a'));
    relay.refuse();
    // The first ones may have been on the cut connection.
    await until(
      async () => {
        try {
          await write(store, put('b'));
          return false;
        } catch (error) {
          return error instanceof ShoalError && error.code === 'unavailable';
        }
      },
      'a write is refused as unavailable',
      20_000,
    );
    relay.heal();
    await write(store, put('c'));
  });

  describe('a lease', () => {
    it('is lost to a holder that is cut off before etcd ends it', async () => {
      const other = await direct();
      const store = await openStore([relay.url]);
      const lease = await store.lease(3000);
      await write(store, put('leader', '', lease.id));
      let present: Promise<number> | undefined;
      lease.lost.addEventListener('abort', () => {
        present = other.snapshot('leader').then((snapshot) => snapshot.items.length);
      });
      relay.mute();
      await until(() => present !== undefined, 'the holder knows that it lost it', 20_000);
      assert.ok(systemClock.nowMs() >= lease.deadlineMs);
      assert.equal(await present, 1, 'the key is still there');
      await until(async () => (await other.snapshot('leader')).items.length === 0, 'etcd has ended it', 20_000);
    });

    it('is held over a cut and over a restart of etcd', async () => {
      const store = await openStore([relay.url]);
      const lease = await store.lease(20_000);
      await write(store, put('mine', '', lease.id));
      relay.cut();
      const cutDeadlineMs = lease.deadlineMs;
      await etcd?.kill();
      await etcd?.restart();
      await until(() => lease.deadlineMs > cutDeadlineMs, 'it was renewed', 25_000);
      assert.equal(lease.lost.aborted, false);
      assert.equal((await store.snapshot('mine')).items.length, 1);
      await lease.revoke();
    });
  });
});
