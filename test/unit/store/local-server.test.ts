import assert from 'node:assert/strict';
import { silentLogger } from '../../../lib/log.ts';
import { Engine } from '../../../manager/store/engine/engine.ts';
import type { HistoryLimits } from '../../../manager/store/engine/history.ts';
import { History } from '../../../manager/store/engine/history.ts';
import { LocalServer } from '../../../manager/store/local/server.ts';
import { createMemoryServer, type Exchange, openMemoryStore } from '../../../manager/store/memory.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { put, write } from '../../support/store-watch.ts';

describe('a local server', () => {
  it('gives leases that it finds at the start their full time again', async () => {
    const clock = manualClock();
    const engine = new Engine({
      revision: 5,
      nextLease: 3,
      leases: [{ id: '2', ttlMs: 4000 }],
      items: [{ key: 'a', value: new Uint8Array(), createRevision: 5, modRevision: 5, leaseId: '2' }],
    });
    const server = new LocalServer({ engine, clock, log: silentLogger });
    clock.advance(3999);
    assert.equal(engine.list('').length, 1);
    clock.advance(1);
    assert.deepEqual([engine.list(''), engine.revision], [[], 6]);
    assert.equal(await server.grant(1000), '3');
    await server.close();
  });

  it('keeps the keys of a lease whose end cannot be written, and ends it when it can', async () => {
    const clock = manualClock();
    let full = false;
    const engine = new Engine();
    const server = new LocalServer({
      engine,
      clock,
      log: silentLogger,
      persist: () => (full ? Promise.reject(new Error('full')) : Promise.resolve()),
    });
    const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const id = await server.grant(1000);
    await server.request('commit', (stage) => stage.commit({ compare: [], ops: [put('a', '', id)] }));
    full = true;
    clock.advance(1000);
    await settled();
    assert.equal(engine.list('').length, 1);
    assert.equal(server.renew(id), false);
    full = false;
    clock.advance(1000);
    await settled();
    assert.equal(engine.list('').length, 0);
    await server.close();
  });

  it('gives up on a disk that does not answer: what waits has not happened, what is being written is unknown', async () => {
    const clock = manualClock();
    const server = new LocalServer({ engine: new Engine(), clock, log: silentLogger, persist: () => new Promise(() => undefined) });
    const commit = (): Promise<unknown> => server.request('commit', (stage) => stage.commit({ compare: [], ops: [put('a')] }));
    const writing = commit();
    await Promise.resolve();
    await Promise.resolve();
    const waiting = commit();
    clock.advance(5000);
    await assert.rejects(writing, { code: 'outcome_unknown' });
    await assert.rejects(waiting, { code: 'deadline_exceeded' });
  });
});

describe('memory stores on one server', () => {
  it('see the same data, and their link can fail each of them', async () => {
    const server = createMemoryServer();
    const exchanges: Exchange[] = [];
    const one = openMemoryStore({ server });
    const other = openMemoryStore({
      server,
      link: (what, exchange) => {
        exchanges.push(what);
        return what === 'lease' ? Promise.reject(new Error('cut')) : exchange();
      },
    });
    await write(one, put('a'));
    assert.equal((await other.snapshot('')).items.length, 1);
    await assert.rejects(other.lease(1000));
    assert.deepEqual(exchanges, ['snapshot', 'lease']);
    await other.close();
    await write(one, put('b'));
    await one.close();
  });
});

describe('history', () => {
  const limits: HistoryLimits = { maxRevisions: 5, maxBytes: 100 };

  it('keeps the newest revisions within its bounds', () => {
    const history = new History(10, limits);
    for (let revision = 11; revision <= 20; revision++) history.append([{ type: 'delete', key: String(revision), modRevision: revision }]);
    assert.deepEqual([history.first, history.next], [16, 21]);
    assert.deepEqual(history.at(16), [{ type: 'delete', key: '16', modRevision: 16 }]);
    assert.deepEqual([history.at(15), history.at(21)], [undefined, undefined]);
    history.append([{ type: 'delete', key: 'x'.repeat(95), modRevision: 21 }]);
    assert.equal(history.first, 19);
    history.compact(21);
    assert.equal(history.first, 21);
    history.compact(99);
    assert.deepEqual([history.first, history.next], [22, 22]);
  });

  it('stays right over many more revisions than it keeps', () => {
    const history = new History(0, limits);
    for (let revision = 1; revision <= 5000; revision++) history.append([{ type: 'delete', key: 'k', modRevision: revision }]);
    assert.deepEqual([history.first, history.at(4998)], [4996, [{ type: 'delete', key: 'k', modRevision: 4998 }]]);
  });
});
