import assert from 'node:assert/strict';
import { silentLogger } from '../../../lib/log.ts';
import { type HeldLease, holdLease, leaseMarginMs } from '../../../manager/store/held-lease.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

const TTL_MS = 5000;

describe('a held lease', () => {
  let clock: ManualClock;
  let answer: () => Promise<boolean>;
  let renewals: number[];
  let revoked: number;

  beforeEach(() => {
    clock = manualClock(1000);
    answer = () => Promise.resolve(true);
    renewals = [];
    revoked = 0;
  });

  const hold = (grantedMs = clock.nowMs()): HeldLease =>
    holdLease({
      clock,
      rng: { next: () => 0.5 },
      log: silentLogger,
      id: '7',
      ttlMs: TTL_MS,
      grantedMs,
      renew: () => {
        renewals.push(clock.nowMs());
        return answer();
      },
      revoke: () => {
        revoked += 1;
        return Promise.resolve();
      },
    });
  /** In small steps, with the promises that each timer settles. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 10) {
      clock.advance(Math.min(10, left));
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
  };

  it('has a deadline before the store can end it: counted from when the request was sent, less a margin', () => {
    const lease = hold(400);
    assert.equal(lease.deadlineMs, 400 + TTL_MS - leaseMarginMs(TTL_MS));
    assert.ok(leaseMarginMs(TTL_MS) >= 500);
  });

  it('is renewed at a third of its time, for as long as it is held', async () => {
    const lease = hold();
    await pass(20_000);
    assert.ok(renewals.length >= 11 && renewals.length <= 12, `${renewals.length} renewals`);
    assert.equal(lease.lost.aborted, false);
    assert.equal(lease.deadlineMs, (renewals.at(-1) ?? 0) + TTL_MS - leaseMarginMs(TTL_MS));
  });

  it('is lost at its deadline when no renewal gets through, after several attempts', async () => {
    answer = () => Promise.reject(new Error('no connection'));
    const lease = hold();
    await pass(lease.deadlineMs - clock.nowMs() - 10);
    assert.equal(lease.lost.aborted, false);
    assert.ok(renewals.length > 3);
    await pass(10);
    assert.equal(lease.lost.aborted, true);
    const attempts = renewals.length;
    await pass(10_000);
    assert.equal(renewals.length, attempts, 'it is left alone after that');
    assert.equal(clock.waiting, 0);
  });

  it('is lost at its deadline when renewals hang', async () => {
    answer = () => new Promise(() => undefined);
    const lease = hold();
    await pass(TTL_MS);
    assert.equal(lease.lost.aborted, true);
    assert.ok(renewals.length >= 2, 'a renewal that hangs is given up for another one');
  });

  it('counts from when a renewal was sent, not from when it was answered', async () => {
    const lease = hold();
    let arrive: (alive: boolean) => void = () => undefined;
    answer = () =>
      new Promise((resolve) => {
        arrive = resolve;
      });
    await pass(TTL_MS / 3 + 10);
    assert.equal(renewals.length, 1);
    await pass(1000);
    arrive(true);
    await pass(10);
    assert.equal(lease.deadlineMs, (renewals[0] ?? 0) + TTL_MS - leaseMarginMs(TTL_MS));
  });

  it('is lost at once when the store says that it is gone', async () => {
    answer = () => Promise.resolve(false);
    const lease = hold();
    await pass(TTL_MS / 3 + 20);
    assert.equal(lease.lost.aborted, true);
  });

  it('is not revived by a process that stood still past its deadline, whatever the store says', async () => {
    const lease = hold();
    await pass(1000);
    // All timers of the time that was slept through fire at once, the renewal among them.
    clock.advance(TTL_MS * 2);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    assert.equal(lease.lost.aborted, true);
  });

  it('is lost to its holder when it is revoked, also where the store does not answer', async () => {
    const lease = hold();
    const revoking = lease.revoke();
    assert.equal(lease.lost.aborted, true);
    await revoking;
    assert.equal(revoked, 1);
    await pass(10_000);
    assert.deepEqual(renewals, []);
  });
});
