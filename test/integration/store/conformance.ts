// What every driver must do. Each test works in a store of its own that begins empty.
import assert from 'node:assert/strict';
import type { KeyValue, Store, Transaction } from '../../../manager/store/store.ts';
import { put, readWatch, remove, write } from '../../support/store-watch.ts';
import { until } from '../../support/until.ts';

export interface StoreBench {
  /** An empty store. */
  open(): Promise<Store>;
  /** Closes it and opens it once more, on the same data. */
  again(store: Store): Promise<Store>;
  /** The shortest lease that the driver keeps, in ms. */
  readonly leaseMs: number;
}

export function storeConformance(bench: () => StoreBench): void {
  let store: Store;

  beforeEach(async () => {
    store = await bench().open();
  });

  afterEach(async () => {
    await store.close();
  });

  describe('transactions', () => {
    it('create, rewrite and delete keys, and say when each life began', async () => {
      const first = await write(store, put('a', 'one'), put('b', 'other'));
      const second = await write(store, put('a', 'two'));
      assert.deepEqual(await items(store), [
        { key: 'a', value: 'two', createRevision: first, modRevision: second },
        { key: 'b', value: 'other', createRevision: first, modRevision: first },
      ]);
      await write(store, remove('a'));
      const third = await write(store, put('a', 'three'));
      assert.deepEqual((await items(store))[0], { key: 'a', value: 'three', createRevision: third, modRevision: third });
      assert.ok(first < second && second < third);
    });

    it('write nothing when a compare fails, and name those that failed in their order', async () => {
      const revision = await write(store, put('a'), put('b'));
      const transaction: Transaction = {
        compare: [
          { key: 'c', modRevision: 7 },
          { key: 'a', modRevision: revision },
          { key: 'b', modRevision: 0 },
          { key: 'a', createRevision: 1 },
        ],
        ops: [put('a', 'changed'), put('new')],
      };
      const result = await store.commit(transaction);
      assert.ok(!result.committed);
      assert.deepEqual(result.failed, [transaction.compare[0], transaction.compare[2], transaction.compare[3]]);
      assert.ok(result.revision >= revision);
      assert.deepEqual(
        (await items(store)).map((item) => [item.key, item.modRevision]),
        [
          ['a', revision],
          ['b', revision],
        ],
      );
    });

    it('take a compare with 0 for a key that is not there, and with its revisions for one that is', async () => {
      assert.ok((await store.commit({ compare: [{ key: 'a', modRevision: 0 }], ops: [put('a')] })).committed);
      assert.ok(!(await store.commit({ compare: [{ key: 'a', modRevision: 0 }], ops: [put('a')] })).committed);
      await write(store, remove('a'));
      const again = await store.commit({ compare: [{ key: 'a', createRevision: 0 }], ops: [put('a')] });
      assert.ok((await store.commit({ compare: [{ key: 'a', modRevision: again.revision }], ops: [put('a', 'x')] })).committed);
    });

    it('let a fence on the create revision outlive rewrites, and fall with the key', async () => {
      const fence = { key: 'leader', createRevision: await write(store, put('leader', 'me')) };
      await write(store, put('leader', 'me, renewed'));
      assert.ok((await store.commit({ compare: [fence], ops: [put('work')] })).committed);
      await write(store, remove('leader'));
      await write(store, put('leader', 'somebody else'));
      const refused = await store.commit({ compare: [fence], ops: [put('work', 'late')] });
      assert.ok(!refused.committed);
      assert.deepEqual(refused.failed, [fence]);
    });

    it('let one of many concurrent creators win', async () => {
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          store.commit({ compare: [{ key: 'name', modRevision: 0 }], ops: [put('name', String(index))] }),
        ),
      );
      const winners = results.flatMap((result, index) => (result.committed ? [[String(index), result.revision]] : []));
      assert.deepEqual(
        (await items(store)).map((item) => [item.value, item.modRevision]),
        winners,
      );
    });

    it('count exactly when many increment with compare', async () => {
      const increment = async (): Promise<void> => {
        for (;;) {
          const snapshot = await store.snapshot('counter');
          const before = snapshot.items[0];
          const value = String(Number(before === undefined ? 0 : Buffer.from(before.value).toString()) + 1);
          const compare = [{ key: 'counter', modRevision: before?.modRevision ?? 0 }];
          if ((await store.commit({ compare, ops: [put('counter', value)] })).committed) return;
        }
      };
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          for (let round = 0; round < 10; round++) await increment();
        }),
      );
      assert.equal((await items(store))[0]?.value, '80');
    });

    it('keep values byte for byte, empty ones too, and keys of any letters', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      await store.commit({ compare: [], ops: [{ type: 'put', key: 'bytes', value: bytes }, put('empty'), put('größe/ключ', 'ü')] });
      const { items: found } = await store.snapshot('');
      assert.deepEqual(
        found.map((item) => item.key),
        ['bytes', 'empty', 'größe/ключ'],
      );
      assert.deepEqual([...(found[0]?.value ?? [])], [...bytes]);
      assert.equal(found[1]?.value.length, 0);
    });

    it('have a revision of their own even when they change nothing', async () => {
      const before = await write(store, put('a'));
      const empty = await write(store);
      const deletion = await write(store, remove('never there'));
      assert.ok(before < empty && empty < deletion);
    });

    it('are not begun when the signal has aborted', async () => {
      await assert.rejects(store.commit({ compare: [], ops: [put('a')] }, AbortSignal.abort()), { code: 'cancelled' });
      assert.deepEqual(await items(store), []);
    });
  });

  describe('limits', () => {
    it('take a transaction as large as they say', async () => {
      const { maxListLength, maxBytes } = store.limits;
      const keys = Array.from({ length: maxListLength }, (_, index) => `key-${String(index).padStart(4, '0')}`);
      const used = keys.length * 3 * 'key-0000'.length;
      const value = 'x'.repeat(Math.floor((maxBytes - used) / keys.length));
      const result = await store.commit({
        compare: keys.map((key) => ({ key, modRevision: 0 })),
        ops: keys.map((key) => put(key, value)),
      });
      assert.ok(result.committed);
      assert.equal((await items(store)).length, maxListLength);
      const refused = await store.commit({ compare: keys.map((key) => ({ key, modRevision: 0 })), ops: [] });
      assert.ok(!refused.committed);
      assert.equal(refused.failed.length, maxListLength);
    });

    it('refuse what is over them, and what no store could mean, before anything is written', async () => {
      const { maxListLength, maxBytes } = store.limits;
      const many = Array.from({ length: maxListLength + 1 }, (_, index) => String(index));
      const refused: Transaction[] = [
        { compare: many.map((key) => ({ key, modRevision: 0 })), ops: [put('a')] },
        { compare: [], ops: many.map((key) => put(key)) },
        { compare: [], ops: [put('a', 'x'.repeat(maxBytes))] },
        { compare: [], ops: [put('a'), remove('a')] },
        { compare: [], ops: [put('')] },
      ];
      for (const transaction of refused) await assert.rejects(store.commit(transaction), { code: 'invalid_argument' });
      assert.deepEqual(await items(store), []);
    });
  });

  describe('snapshots', () => {
    it('are of one revision and complete over many pages, while others write', async () => {
      const keys = Array.from({ length: 10_500 }, (_, index) => `many/${String(index).padStart(6, '0')}`);
      for (let at = 0; at < keys.length; at += 100) await write(store, ...keys.slice(at, at + 100).map((key) => put(key, key)));
      const stop = new AbortController();
      let rounds = 0;
      // Each round rewrites the first and the last key together.
      const writing = (async () => {
        while (!stop.signal.aborted) {
          rounds += 1;
          await write(store, put(keys[0] ?? '', `round ${rounds}`), put(keys.at(-1) ?? '', `round ${rounds}`));
          // A store in memory answers without ever letting the event loop go on.
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      await until(() => rounds > 2, 'writing has begun');
      const snapshot = await store.snapshot('many/');
      stop.abort();
      await writing;
      assert.deepEqual(
        snapshot.items.map((item) => item.key),
        keys,
      );
      assert.ok(snapshot.items.every((item) => item.modRevision <= snapshot.revision));
      assert.equal(text(snapshot.items[0]), text(snapshot.items.at(-1)));
    }).timeout(30_000);

    it('hold what is below their prefix only', async () => {
      await write(store, put('a/1'), put('a/2'), put('a'), put('ab/1'), put('b/1'));
      assert.deepEqual(
        (await store.snapshot('a/')).items.map((item) => item.key),
        ['a/1', 'a/2'],
      );
      assert.deepEqual((await store.snapshot('nothing/')).items, []);
    });
  });

  describe('watches', () => {
    it('go on where a snapshot ended, whole revisions at a time', async () => {
      await write(store, put('before'));
      const { revision } = await store.snapshot('');
      const watch = readWatch(store, '', revision + 1);
      const first = await write(store, put('a'), put('b'), remove('before'));
      const second = await write(store, remove('a'), put('c'));
      await watch.reaches(second);
      await watch.stop();
      assert.deepEqual(watch.revisions, [first, second]);
      assert.deepEqual(watch.changes, ['put a', 'put b', 'delete before', 'delete a', 'put c']);
    });

    it('tell values and revisions as a snapshot would', async () => {
      const first = await write(store, put('a', 'one'));
      const second = await write(store, put('a', 'two'));
      const third = await write(store, remove('a'));
      const watch = readWatch(store, '', first);
      await watch.reaches(third);
      await watch.stop();
      const events = watch.messages.flatMap((message) => (message.type === 'revision' ? message.events : []));
      assert.deepEqual(
        events.map((event) => (event.type === 'put' ? plain(event.item) : event)),
        [
          { key: 'a', value: 'one', createRevision: first, modRevision: first },
          { key: 'a', value: 'two', createRevision: first, modRevision: second },
          { type: 'delete', key: 'a', modRevision: third },
        ],
      );
    });

    it('see concurrent commits once each, in the order of their revisions', async () => {
      const watch = readWatch(store, '', (await store.snapshot('')).revision + 1);
      const revisions = await Promise.all(Array.from({ length: 300 }, (_, index) => write(store, put(`k${index}`))));
      await watch.reaches(Math.max(...revisions));
      await watch.stop();
      assert.deepEqual(
        watch.revisions,
        [...revisions].sort((left, right) => left - right),
      );
      assert.equal(new Set(watch.changes).size, 300);
    });

    it('resume from any revision with the same history', async () => {
      const revisions: number[] = [];
      for (let index = 0; index < 30; index++) revisions.push(await write(store, put(`k${index}`), put('shared', String(index))));
      for (const start of [0, 1, 13, 29]) {
        const watch = readWatch(store, '', revisions[start] ?? 0);
        await watch.reaches(revisions.at(-1) ?? 0);
        await watch.stop();
        assert.deepEqual(watch.revisions, revisions.slice(start));
      }
    });

    it('tell a narrow reader how far the store is, though nothing below its prefix changed', async () => {
      const watch = readWatch(store, 'mine/', (await store.snapshot('')).revision + 1);
      const other = await write(store, put('yours/1'));
      await watch.reaches(other);
      const mine = await write(store, put('mine/1'), put('yours/2'));
      const conflict = await store.commit({ compare: [{ key: 'mine/1', modRevision: 0 }], ops: [] });
      await watch.reaches(conflict.revision);
      await watch.stop();
      assert.deepEqual(watch.revisions, [mine]);
      assert.deepEqual(watch.changes, ['put mine/1']);
    });

    it('wait for a reader that is slow, and lose nothing', async () => {
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const { revision } = await store.snapshot('');
      const watch = readWatch(store, '', revision + 1, () => held);
      const revisions: number[] = [];
      for (let index = 0; index < 100; index++) revisions.push(await write(store, put(`k${index}`, 'x'.repeat(10_000))));
      release();
      await watch.reaches(revisions.at(-1) ?? 0);
      await watch.stop();
      assert.deepEqual(watch.revisions, revisions);
    });

    it('just end when their signal aborts or the store is closed', async () => {
      const { revision } = await store.snapshot('');
      const aborted = readWatch(store, '', revision + 1);
      const closed = readWatch(store, '', revision + 1);
      await aborted.stop();
      await store.close();
      await until(() => closed.ended, 'the other watch has ended');
      assert.deepEqual([...aborted.messages, ...closed.messages], []);
    });
  });

  describe('compaction', () => {
    it('keeps the revision that it names, deletions too, and what is after it', async () => {
      await write(store, put('a'), put('b'));
      await write(store, put('a', 'two'));
      const deletion = await write(store, remove('a'));
      const last = await write(store, put('b', 'two'));
      await store.compact(deletion);
      const watch = readWatch(store, '', deletion);
      await watch.reaches(last);
      await watch.stop();
      assert.deepEqual(watch.revisions, [deletion, last]);
      assert.deepEqual(watch.changes, ['delete a', 'put b']);
      assert.deepEqual(
        (await items(store)).map((item) => [item.key, item.value]),
        [['b', 'two']],
      );
    });

    it('is told to a watch that begins before it, as its last message', async () => {
      const first = await write(store, put('a'));
      for (let index = 0; index < 10; index++) await write(store, put('a', String(index)));
      const now = (await store.snapshot('')).revision;
      await store.compact(now);
      const watch = readWatch(store, '', first);
      await until(() => watch.ended, 'the watch has ended');
      const [message, ...more] = watch.messages;
      assert.equal(message?.type, 'compacted');
      assert.ok(message.compactedRevision >= first && message.compactedRevision < now);
      assert.deepEqual(more, []);
    });

    it('may be asked for twice', async () => {
      await write(store, put('a'));
      const revision = await write(store, put('a'));
      await store.compact(revision);
      await store.compact(revision);
      await store.compact(revision - 1);
    });
  });

  describe('leases', () => {
    it('are renewed for as long as they are held', async () => {
      const lease = await store.lease(bench().leaseMs);
      await write(store, put('mine', '', lease.id));
      const first = lease.deadlineMs;
      await until(() => lease.deadlineMs > first + bench().leaseMs * 1.5, 'the deadline has moved on');
      assert.equal(lease.lost.aborted, false);
      assert.equal((await items(store)).length, 1);
    });

    it('take their keys along in one revision when they are revoked', async () => {
      const lease = await store.lease(60_000);
      await write(store, put('a', '', lease.id), put('b', '', lease.id), put('c'), put('d', '', lease.id));
      await write(store, put('d', 'no longer on the lease'));
      const watch = readWatch(store, '', (await store.snapshot('')).revision + 1);
      await lease.revoke();
      assert.equal(lease.lost.aborted, true);
      await until(() => watch.changes.length === 2, 'both deletions were seen');
      await watch.stop();
      assert.deepEqual([...watch.changes].sort(), ['delete a', 'delete b']);
      assert.equal(watch.revisions.length, 1);
      assert.deepEqual(
        (await items(store)).map((item) => item.key),
        ['c', 'd'],
      );
    });

    it('end after their time when nobody holds them any more', async () => {
      const lease = await store.lease(bench().leaseMs);
      await write(store, put('a', '', lease.id), put('b'));
      store = await bench().again(store);
      assert.equal(lease.lost.aborted, true);
      const { revision, items: found } = await store.snapshot('');
      assert.equal(found.length, 2);
      const watch = readWatch(store, '', revision + 1);
      await until(() => watch.changes.length > 0, 'the deletion was seen', 20_000);
      await watch.stop();
      assert.deepEqual(watch.changes, ['delete a']);
    }).timeout(30_000);

    it('that are gone are refused, with nothing written', async () => {
      const lease = await store.lease(60_000);
      await lease.revoke();
      await assert.rejects(store.commit({ compare: [], ops: [put('b'), put('a', '', lease.id)] }), { code: 'failed_precondition' });
      assert.deepEqual(await items(store), []);
    });

    it('need a time', async () => {
      await assert.rejects(store.lease(0), { code: 'invalid_argument' });
    });
  });

  it('is there again after it was closed, with revisions that go on', async () => {
    const last = await write(store, put('a', 'kept'));
    store = await bench().again(store);
    assert.deepEqual(
      (await items(store)).map((item) => [item.key, item.value, item.modRevision]),
      [['a', 'kept', last]],
    );
    assert.ok((await write(store, put('b'))) > last);
  });

  it('refuses calls after it was closed', async () => {
    await store.close();
    await assert.rejects(write(store, put('a')), { code: 'unavailable' });
    await assert.rejects(store.snapshot(''), { code: 'unavailable' });
    await assert.rejects(store.lease(1000), { code: 'unavailable' });
    await store.close();
  });

  it('is reachable while it answers', async () => {
    await write(store, put('a'));
    assert.equal(store.reachable(), true);
  });
}

async function items(store: Store): Promise<PlainItem[]> {
  return (await store.snapshot('')).items.map(plain);
}

function plain(item: KeyValue): PlainItem {
  const { key, createRevision, modRevision } = item;
  return { key, value: text(item), createRevision, modRevision };
}

interface PlainItem {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
}

function text(item: KeyValue | undefined): string {
  return item === undefined ? '' : Buffer.from(item.value).toString();
}
