import assert from 'node:assert/strict';
import { adaptiveWindow } from '../../../lib/adaptive-window.ts';
import { silentLogger } from '../../../lib/log.ts';
import { seededRng } from '../../../lib/rng.ts';
import { RouteAckBook } from '../../../manager/dispatcher/route-acks.ts';
import { type FollowedStore, leaderBench, type LeaderBench } from '../../support/leader-bench.ts';
import { passTime, settle } from '../../support/virtual-time.ts';

const WINDOW = { shortMs: 10, longMs: 20 };

describe('acknowledgements of routes', () => {
  let bench: LeaderBench;
  let followed: FollowedStore;
  let draining: ReadonlySet<string>;
  let book: RouteAckBook;

  beforeEach(async () => {
    bench = leaderBench();
    followed = await bench.follow();
    draining = new Set(['t']);
    const { store, state } = followed;
    book = new RouteAckBook({
      ...{ store, state, managerId: 'm', clock: bench.clock, rng: seededRng(1), log: silentLogger, lingerMs: 1000 },
      window: (flush) => adaptiveWindow(bench.clock, WINDOW, flush),
      draining: () => draining,
    });
  });
  afterEach(async () => {
    book.stop();
    await bench.stop();
  });

  const report = (node: number, revision: number): void => {
    book.report(`n${String(node).padStart(3, '0')}`, { clusterId: 'c', incarnation: 'i', incarnationNumber: 1, revision }, []);
  };
  const written = (): readonly number[] => followed.state.get('routeAcks', 'm')?.value.nodes.map(({ epoch }) => epoch?.revision ?? 0) ?? [];

  it('are written at once where they come alone', async () => {
    report(1, 7);
    await settle();
    assert.deepEqual(written(), [7]);
  });

  it('are written once per window however many come, and however soon the store answers', async () => {
    for (let node = 0; node < 100; node++) {
      report(node, 7);
      await passTime(bench.clock, 1);
    }
    const { length } = followed.sent;
    assert.ok(length >= 5 && length <= 9, `${length} transactions in 100 ms`);
    await passTime(bench.clock, 20);
    assert.equal(written().length, 100);
  });

  it('that come while others are written follow', async () => {
    let release: () => void = () => undefined;
    followed.onCommit = async (real) => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return real();
    };
    report(1, 7);
    await settle();
    report(2, 8);
    await passTime(bench.clock, 100);
    assert.equal(followed.sent.length, 1, 'one at a time');
    followed.onCommit = undefined;
    release();
    await passTime(bench.clock, 100);
    assert.deepEqual(written(), [7, 8]);
  });

  it('are taken back some time after the last drain', async () => {
    report(1, 7);
    await settle();
    draining = new Set();
    book.drainsChanged();
    await passTime(bench.clock, 999);
    assert.deepEqual(written(), [7]);
    await passTime(bench.clock, 10);
    assert.deepEqual(written(), []);
  });
});
