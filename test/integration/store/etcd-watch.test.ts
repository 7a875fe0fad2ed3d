// Watches of the etcd driver when the network and etcd fail: no event lost, none twice.
import assert from 'node:assert/strict';
import { systemClock } from '../../../lib/clock.ts';
import { messageOf, ShoalError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import { openEtcdStore } from '../../../manager/store/etcd/index.ts';
import type { Store } from '../../../manager/store/store.ts';
import { startEtcd, type TestEtcd } from '../../support/etcd.ts';
import { requirement } from '../../support/requirements.ts';
import { put, readWatch, write } from '../../support/store-watch.ts';
import { startTcpRelay, type TcpRelay } from '../../support/tcp-relay.ts';
import { until } from '../../support/until.ts';

/** The first endpoint is asked first; no jitter. */
const firstRng = { next: () => 0 };

describe('watches of the etcd store', function () {
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

  const openStore = async (...endpoints: readonly string[]): Promise<Store> => {
    const prefix = `/watch-${number}/`;
    const store = await openEtcdStore({ endpoints, prefix, clock: systemClock, rng: firstRng, log: silentLogger });
    open.push(store);
    return store;
  };
  const direct = (): Promise<Store> => openStore(etcd?.url ?? '');
  const relayed = (): Promise<Store> => openStore(relay.url);

  it('deliver 5,000 revisions of history over a connection that is cut again and again, none lost and none twice', async () => {
    const writer = await direct();
    const history: number[] = [];
    for (let at = 0; at < 5000; at += 500) {
      const written = Array.from({ length: 500 }, (_, index) => write(writer, put(`k${at + index}`, 'x'.repeat(100))));
      history.push(...(await Promise.all(written)));
    }
    history.sort((left, right) => left - right);
    const store = await relayed();
    const before = relay.taken;
    relay.cutAfterAnswers(100_000);
    let seen = 0;
    const watch = readWatch(store, '', history[0] ?? 0, () => {
      seen += 1;
      // The next one in the middle of what etcd is about to send.
      if (seen % 1100 === 0) relay.cutAfterAnswers(50_000);
      return Promise.resolve();
    });
    await watch.reaches(history.at(-1) ?? 0, 30_000);
    await watch.stop();
    assert.ok(relay.taken - before >= 3, `the connection was cut, ${relay.taken - before} connections`);
    assert.deepEqual(watch.revisions, history);
    assert.equal(new Set(watch.changes).size, 5000);
  });

  it('deliver large revisions whole, though etcd sends them in fragments', async () => {
    const writer = await direct();
    const revisions: number[] = [];
    for (let round = 0; round < 12; round++) {
      revisions.push(await write(writer, ...Array.from({ length: 100 }, (_, index) => put(`${round}/${index}`, 'x'.repeat(9000)))));
    }
    const store = await relayed();
    relay.cutAfterAnswers(5_000_000);
    const watch = readWatch(store, '', revisions[0] ?? 0);
    await watch.reaches(revisions.at(-1) ?? 0, 30_000);
    await watch.stop();
    assert.deepEqual(watch.revisions, revisions);
    assert.deepEqual(
      watch.messages.flatMap((message) => (message.type === 'revision' ? [message.events.length] : [])),
      revisions.map(() => 100),
    );
  });

  it('go on over a kill -9 and restart of etcd, with every acknowledged write once', async () => {
    const store = await direct();
    const { revision } = await store.snapshot('');
    const watch = readWatch(store, '', revision + 1);
    const outcomes = new Map<string, 'written' | 'unknown' | 'not'>();
    const stop = new AbortController();
    const writing = Array.from({ length: 8 }, async (_, lane) => {
      for (let index = 0; !stop.signal.aborted; index++) {
        const key = `${lane}/${index}`;
        try {
          const result = await store.commit({ compare: [{ key, modRevision: 0 }], ops: [put(key)] });
          assert.ok(result.committed, `${key} was written by nobody else`);
          outcomes.set(key, 'written');
        } catch (error) {
          assert.ok(error instanceof ShoalError, messageOf(error));
          outcomes.set(key, error.code === 'outcome_unknown' ? 'unknown' : 'not');
        }
      }
    });
    const written = (): number => [...outcomes.values()].filter((outcome) => outcome === 'written').length;
    for (let round = 1; round <= 2; round++) {
      const before = written();
      await until(() => written() > before + 100, 'writes succeed');
      await etcd?.kill();
      await etcd?.restart();
    }
    const before = written();
    await until(() => written() > before + 100, 'writes succeed again', 20_000);
    stop.abort();
    await Promise.all(writing);
    const end = await write(store, put('end'));
    await watch.reaches(end, 20_000);
    await watch.stop();
    const times = new Map<string, number>();
    for (const change of watch.changes) times.set(change, (times.get(change) ?? 0) + 1);
    for (const [key, outcome] of outcomes) {
      const seen = times.get(`put ${key}`) ?? 0;
      if (outcome === 'unknown') assert.ok(seen <= 1, `${key}: ${seen} times`);
      else assert.equal(seen, outcome === 'written' ? 1 : 0, `${key} (${outcome})`);
    }
    assert.deepEqual(
      watch.revisions,
      [...watch.revisions].sort((left, right) => left - right),
    );
  });

  it('leave an endpoint that has gone mute', async () => {
    const writer = await direct();
    const store = await openStore(relay.url, etcd?.url ?? '');
    const watch = readWatch(store, '', (await store.snapshot('')).revision + 1);
    await watch.reaches(await write(writer, put('a')));
    relay.mute();
    // The connection's own keepalive would take 13 s.
    await watch.reaches(await write(writer, put('b')), 9000);
    await watch.stop();
    assert.deepEqual(watch.changes, ['put a', 'put b']);
  });

  it('tell a reader that was compacted while it was cut off', async () => {
    const writer = await direct();
    const store = await relayed();
    const first = await write(writer, put('a'));
    const watch = readWatch(store, '', first);
    await watch.reaches(first);
    relay.refuse();
    let last = first;
    for (let index = 0; index < 10; index++) last = await write(writer, put('a', String(index)));
    await writer.compact(last);
    relay.heal();
    await until(() => watch.ended, 'the watch has ended', 20_000);
    assert.equal(watch.messages.at(-1)?.type, 'compacted');
    assert.deepEqual(watch.revisions, [first]);
  });

  it('reach a revision that somebody else made outside of the prefix', async () => {
    const store = await direct();
    const watch = readWatch(store, '', (await store.snapshot('')).revision + 1);
    const other = await openEtcdStore({
      endpoints: [etcd?.url ?? ''],
      prefix: `/other-${number}/`,
      clock: systemClock,
      rng: firstRng,
      log: silentLogger,
    });
    open.push(other);
    const foreign = await write(other, put('a'));
    await watch.reaches(foreign, 20_000);
    await watch.stop();
    assert.deepEqual(watch.revisions, []);
  });
});
