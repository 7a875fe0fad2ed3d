// The embedded store on disks that are full, fail, lie still, or have been changed.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { silentLogger } from '../../../lib/log.ts';
import { type EmbeddedStoreOptions, openEmbeddedStore } from '../../../manager/store/embedded/index.ts';
import type { Store } from '../../../manager/store/store.ts';
import { failingDisk } from '../../support/failing-disk.ts';
import { put, readWatch, remove, write } from '../../support/store-watch.ts';
import { until } from '../../support/until.ts';

describe('the disk of an embedded store', () => {
  let directory: string;
  let open: Store[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'shoal-store-'));
  });

  afterEach(async () => {
    for (const store of open) await store.close();
    open = [];
    await rm(directory, { recursive: true, force: true });
  });

  const openStore = async (more: Partial<EmbeddedStoreOptions> = {}): Promise<Store> => {
    const store = await openEmbeddedStore({ directory, clock: systemClock, log: silentLogger, ...more });
    open.push(store);
    return store;
  };
  const reopen = async (store: Store, more: Partial<EmbeddedStoreOptions> = {}): Promise<Store> => {
    await store.close();
    return openStore(more);
  };
  const files = async (prefix: string): Promise<string[]> =>
    (await readdir(directory)).filter((name) => name.startsWith(prefix)).map((name) => join(directory, name));
  const contents = async (store: Store): Promise<Record<string, string>> =>
    Object.fromEntries((await store.snapshot('')).items.map((item) => [item.key, Buffer.from(item.value).toString()]));

  it('shows a write to nobody before it was synced', async () => {
    const disk = failingDisk();
    const store = await openStore({ disk });
    const { revision } = await store.snapshot('');
    const watch = readWatch(store, '', revision + 1);
    let release: () => void = () => undefined;
    disk.syncGate = new Promise((resolve) => {
      release = resolve;
    });
    let answered = false;
    const commit = write(store, put('a'));
    void commit.then(() => {
      answered = true;
    });
    const conflict = store.commit({ compare: [{ key: 'a', modRevision: 0 }], ops: [] });
    // Another file goes through the same disk meanwhile: time enough for a write that does not wait.
    await readFile((await files('log-'))[0] ?? '');
    assert.deepEqual([answered, await contents(store), watch.messages, (await store.snapshot('')).revision], [false, {}, [], revision]);
    disk.syncGate = undefined;
    release();
    await watch.reaches(await commit);
    assert.equal((await conflict).committed, false);
    await watch.stop();
    assert.deepEqual(watch.changes, ['put a']);
  });

  it('is synced once for many writes that come together', async () => {
    const disk = failingDisk();
    const store = await openStore({ disk });
    const before = disk.syncs;
    await Promise.all(Array.from({ length: 200 }, (_, index) => write(store, put(`k${index}`))));
    assert.equal(disk.syncs - before, 1);
  });

  it('that is full refuses writes with the reason, serves reads, and takes writes when there is space', async () => {
    const disk = failingDisk();
    let store = await openStore({ disk });
    const kept = await write(store, put('kept', 'yes'));
    disk.freeBytes = 30;
    const refused = await Promise.allSettled([write(store, put('a')), write(store, put('kept', 'no')), store.lease(1000)]);
    for (const result of refused) {
      assert.ok(result.status === 'rejected' && result.reason instanceof ShoalError);
      assert.equal(result.reason.code, 'resource_exhausted');
      assert.match(result.reason.message, new RegExp(`${directory} is full`));
    }
    assert.equal(store.reachable(), false);
    assert.deepEqual(await contents(store), { kept: 'yes' });
    // What it leaves behind is good also for a process that starts now.
    store = await reopen(store, { disk });
    await assert.rejects(write(store, remove('kept')), { code: 'resource_exhausted' });
    disk.freeBytes = undefined;
    assert.equal(await write(store, put('a', 'later')), kept + 1);
    assert.equal(store.reachable(), true);
    store = await reopen(store);
    assert.deepEqual(await contents(store), { kept: 'yes', a: 'later' });
  });

  it('that fails to sync leaves the outcome open, and the store goes on once it works again', async () => {
    const disk = failingDisk();
    let store = await openStore({ disk });
    await write(store, put('a'));
    disk.syncFails = true;
    await assert.rejects(write(store, put('doubtful')), { code: 'outcome_unknown' });
    await assert.rejects(write(store, put('refused')), { code: 'unavailable' });
    assert.deepEqual(await contents(store), { a: '' });
    disk.syncFails = false;
    const revision = await write(store, put('b'));
    await write(store, put('c'));
    assert.deepEqual(await contents(store), { a: '', b: '', c: '' });
    store = await reopen(store, { disk });
    assert.deepEqual(await contents(store), { a: '', b: '', c: '' });
    assert.equal((await store.snapshot('b')).items[0]?.modRevision, revision);
  });

  it('on which a failed write cannot be taken back never shows it later', async () => {
    const disk = failingDisk();
    let store = await openStore({ disk });
    await write(store, put('a'));
    disk.freeBytes = 60;
    disk.truncateFails = true;
    await assert.rejects(write(store, put('doubtful', 'x'.repeat(100))), { code: 'outcome_unknown' });
    disk.freeBytes = undefined;
    await write(store, put('b'));
    store = await reopen(store);
    assert.deepEqual(await contents(store), { a: '', b: '' });
  });

  it('may lose the end of the last write in a crash, at any byte: it is cut off, and what was before is there', async () => {
    const store = await openStore();
    await write(store, put('a', 'one'), put('b', 'two'));
    const [log = ''] = await files('log-');
    const whole = (await readFile(log)).length;
    await write(store, put('a', 'changed'), remove('b'), put('c', 'x'.repeat(50)));
    await store.close();
    const bytes = await readFile(log);
    for (let length = whole; length < bytes.length; length++) {
      await writeFile(log, bytes.subarray(0, length));
      const opened = await openStore();
      assert.deepEqual(await contents(opened), { a: 'one', b: 'two' }, `cut at ${length}`);
      await opened.close();
      assert.equal((await readFile(log)).length, whole);
    }
    // A crash may also leave the length of a write without its contents.
    await writeFile(log, Buffer.concat([bytes.subarray(0, whole + 10), Buffer.alloc(bytes.length - whole - 10)]));
    const opened = await openStore();
    assert.deepEqual(await contents(opened), { a: 'one', b: 'two' });
    await write(opened, put('d'));
    assert.deepEqual(await contents(await reopen(opened)), { a: 'one', b: 'two', d: '' });
  });

  it('that changed a byte of an acknowledged write is found out, whichever byte it is', async () => {
    const store = await openStore();
    await write(store, put('a', 'one'));
    const [log = ''] = await files('log-');
    const first = (await readFile(log)).length;
    await write(store, put('b', 'two'));
    await store.close();
    const bytes = await readFile(log);
    for (let at = 0; at < first; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 0x20;
      await writeFile(log, damaged);
      await assert.rejects(openStore(), { code: 'failed_precondition', message: /log-\d+ is damaged at byte 0/ }, `byte ${at}`);
    }
    await writeFile(log, bytes);
    assert.deepEqual(await contents(await openStore()), { a: 'one', b: 'two' });
  });

  it('holds a snapshot and a short log, however much was written', async () => {
    let store = await openStore({ snapshotAtBytes: 10_000 });
    const lease = await store.lease(60_000);
    await write(store, put('leased', '', lease.id));
    const { revision } = await store.snapshot('');
    for (let round = 0; round < 400; round++) await write(store, put(`k${round % 7}`, `${round} ${'x'.repeat(200)}`));
    await until(async () => (await files('snapshot-')).length === 1 && (await files('log-')).length === 1, 'old files are gone');
    const before = await store.snapshot('');
    assert.equal(before.revision, revision + 400);
    store = await reopen(store, { snapshotAtBytes: 10_000 });
    assert.deepEqual(
      (await store.snapshot('')).items.map((item) => [item.key, item.createRevision, item.modRevision]),
      before.items.map((item) => [item.key, item.createRevision, item.modRevision]),
    );
    assert.ok((await store.commit({ compare: [], ops: [put('other', '', lease.id)] })).committed, 'the lease is kept');
    // History from before the snapshot is gone, and that is told.
    const watch = readWatch(store, '', revision);
    await until(() => watch.ended, 'the watch has ended');
    assert.equal(watch.messages[0]?.type, 'compacted');
  });

  it('that was full during a snapshot is used as before when there is space', async () => {
    const disk = failingDisk();
    let store = await openStore({ disk, snapshotAtBytes: 2000 });
    for (let round = 0; round < 30; round++) {
      disk.freeBytes = round % 3 === 1 ? 400 : undefined;
      await write(store, put(`k${round}`, 'x'.repeat(100))).catch((error: unknown) => {
        assert.ok(error instanceof ShoalError && error.code === 'resource_exhausted');
      });
    }
    disk.freeBytes = undefined;
    const before = await contents(store);
    store = await reopen(store);
    assert.deepEqual(await contents(store), before);
  });

  it('from which a file was taken away is refused', async () => {
    const store = await openStore({ snapshotAtBytes: 1000 });
    for (let round = 0; round < 100; round++) await write(store, put('k', 'x'.repeat(200)));
    await store.close();
    const [snapshot = ''] = await files('snapshot-');
    const bytes = await readFile(snapshot);
    await rm(snapshot);
    await assert.rejects(openStore(), { code: 'failed_precondition', message: /is missing/ });
    await writeFile(snapshot, bytes);
    await truncate(snapshot, bytes.length - 1);
    await assert.rejects(openStore(), { code: 'failed_precondition', message: /snapshot-\d+ is damaged/ });
  });

  it('keeps bounded history for watches, and tells those that fall behind', async () => {
    const store = await openStore({ history: { maxRevisions: 10, maxBytes: 1000 } });
    const first = await write(store, put('a'));
    for (let index = 0; index < 20; index++) await write(store, put('a', String(index)));
    const watch = readWatch(store, '', first);
    await until(() => watch.ended, 'the watch has ended');
    assert.equal(watch.messages[0]?.type, 'compacted');
    const recent = (await store.snapshot('')).revision - 5;
    const resumed = readWatch(store, '', recent);
    await resumed.reaches(recent + 5);
    await resumed.stop();
    assert.equal(resumed.revisions.length, 6);
  });
});
