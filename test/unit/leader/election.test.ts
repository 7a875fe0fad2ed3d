import assert from 'node:assert/strict';
import { silentLogger } from '../../../lib/log.ts';
import { seededRng } from '../../../lib/rng.ts';
import { campaign, type Leadership } from '../../../manager/leader/index.ts';
import { leadershipOf } from '../../../manager/leader/leadership.ts';
import { TransactionBuilder } from '../../../manager/state/index.ts';
import { ManagerLiveness, Slot } from '../../../proto/index.ts';
import { type FollowedStore, leaderBench, type LeaderBench } from '../../support/leader-bench.ts';
import { row, storeRows } from '../../support/state-rows.ts';
import { passTime, passUntil, settle } from '../../support/virtual-time.ts';

const TTL_MS = 5000;

interface Candidate extends FollowedStore {
  readonly leaderships: readonly Leadership[];
  readonly leads: boolean;
  /** Ends the present leadership as a failure of the leader's own loop would. */
  fail(): void;
  resign(): Promise<void>;
}

describe('the election of a leader', () => {
  let bench: LeaderBench;
  const candidates: Candidate[] = [];

  beforeEach(() => {
    bench = leaderBench();
  });
  afterEach(async () => {
    await Promise.all(candidates.splice(0).map((candidate) => candidate.resign()));
    await bench.stop();
  });

  async function candidate(managerId: string, options: { readonly lagging?: boolean } = {}): Promise<Candidate> {
    const followed = await bench.follow();
    if (options.lagging === true) followed.holdWatch();
    const ending = new AbortController();
    const leaderships: Leadership[] = [];
    let present: { readonly fail: () => void } | undefined;
    const campaigning = campaign(
      {
        ...{ store: followed.store, state: followed.state, clock: bench.clock, rng: seededRng(7), log: silentLogger },
        leaseTtlMs: TTL_MS,
        liveness: ManagerLiveness.create({ managerId, address: `${managerId}:1` }),
        lead: (leadership) =>
          new Promise<void>((resolve, reject) => {
            leaderships.push(leadership);
            present = { fail: () => reject(new Error('the loop failed')) };
            leadership.ended.addEventListener('abort', () => resolve(), { once: true });
            if (leadership.ended.aborted) resolve();
          }).finally(() => {
            present = undefined;
          }),
      },
      ending.signal,
    );
    const made: Candidate = Object.assign(followed, {
      leaderships,
      fail: () => present?.fail(),
      async resign() {
        ending.abort();
        await campaigning;
      },
      leads: false,
    });
    Object.defineProperty(made, 'leads', { get: () => present !== undefined });
    candidates.push(made);
    await settle();
    return made;
  }

  it('is won by one of several, who all say that they are there', async () => {
    const all = [await candidate('m1'), await candidate('m2'), await candidate('m3')];
    await passUntil(bench.clock, () => all.some(({ leads }) => leads), 'one leads');
    await passTime(bench.clock, 3 * TTL_MS);
    assert.equal(all.filter(({ leads }) => leads).length, 1);
    assert.equal(all.flatMap(({ leaderships }) => leaderships).length, 1);
    for (const { state } of all) assert.deepEqual([...state.all('managers')].map(({ id }) => id).sort(), ['m1', 'm2', 'm3']);
  });

  it('is held again at once when the leader stops', async () => {
    const first = await candidate('m1');
    const second = await candidate('m2');
    await passUntil(bench.clock, () => first.leads, 'the first leads');
    await first.resign();
    await settle();
    assert.ok(second.leads);
    assert.equal(second.state.get('managers', 'm1'), undefined);
  });

  it('is held again within the TTL and a second when the leader falls silent, and only after that one has stopped', async () => {
    const first = await candidate('m1');
    const second = await candidate('m2');
    await passUntil(bench.clock, () => first.leads, 'the first leads');
    await passTime(bench.clock, 2 * TTL_MS);
    first.cut();
    const [leadership] = first.leaderships;
    const stoppedAfterMs = await passUntil(bench.clock, () => leadership?.ended.aborted === true, 'the first stops');
    assert.ok(!second.leads);
    const takenAfterMs = stoppedAfterMs + (await passUntil(bench.clock, () => second.leads, 'the second leads'));
    assert.ok(stoppedAfterMs < TTL_MS && takenAfterMs <= TTL_MS + 1000, `stopped after ${stoppedAfterMs}, taken after ${takenAfterMs} ms`);
    assert.equal(first.leads, false);
  });

  it('gives each leader a fence of its own, and an earlier one writes nothing through it', async () => {
    const first = await candidate('m1');
    const second = await candidate('m2');
    await passUntil(bench.clock, () => first.leads, 'the first leads');
    const old = first.leaderships[0];
    assert.ok(old);
    // Made in time, and on its way while the lead was lost.
    const late = old
      .fence(new TransactionBuilder())
      .put('slots', 's/1', Slot.create({ taskId: 'late' }), undefined)
      .build();
    first.cut();
    await passUntil(bench.clock, () => second.leads, 'the second leads');
    const result = await bench.store.commit(late);
    assert.ok(!result.committed);
    assert.deepEqual(result.failed, [{ key: 'leader', createRevision: old.createRevision }]);
    await settle();
    assert.equal(second.state.get('slots', 's/1'), undefined);
    assert.throws(() => old.fence(new TransactionBuilder()), { code: 'failed_precondition' });
    const present = second.leaderships[0];
    assert.ok(present && present.createRevision > old.createRevision);
    const now = present
      .fence(new TransactionBuilder())
      .put('slots', 's/1', Slot.create({ taskId: 'now' }), undefined)
      .build();
    assert.ok((await second.store.commit(now)).committed);
  });

  it('is begun anew by a leader whose lease was lost, when the store answers again', async () => {
    const only = await candidate('m1');
    await passUntil(bench.clock, () => only.leads, 'it leads');
    const leaderRow = only.state.get('leader', '');
    assert.ok(leaderRow);
    // As an operator might: its lease is then worth nothing.
    await bench.store.commit({ compare: [], ops: [{ type: 'delete', key: 'leader' }] });
    await passUntil(bench.clock, () => only.leaderships.length === 2, 'it leads again');
    assert.ok(only.leaderships[0]?.ended.aborted);
    assert.ok(!only.leaderships[1]?.ended.aborted);
  });

  it('is begun anew after the leader’s own loop has failed, with a new lease', async () => {
    const only = await candidate('m1');
    await passUntil(bench.clock, () => only.leads, 'it leads');
    only.fail();
    await settle();
    assert.ok(only.leaderships[0]?.ended.aborted);
    await passUntil(bench.clock, () => only.leaderships.length === 2 && only.leads, 'it leads again');
  });

  it('replaces what an earlier life of the manager left behind', async () => {
    await storeRows(bench.store, row('managers', 'm1', ManagerLiveness.create({ managerId: 'm1', address: 'old:1' })));
    const again = await candidate('m1');
    await passUntil(bench.clock, () => again.leads, 'it leads');
    assert.equal(again.state.get('managers', 'm1')?.value.address, 'm1:1');
  });

  it('is of no use to a manager that does not know what was written before: it does not lead until it does', async () => {
    const lagging = await candidate('m1');
    await passUntil(bench.clock, () => lagging.leads, 'it leads');
    lagging.holdWatch();
    lagging.fail();
    await passUntil(bench.clock, () => lagging.leaderships[0]?.ended.aborted === true, 'the first time is over');
    await bench.store.commit({ compare: [], ops: [{ type: 'delete', key: 'leader' }] });
    await passTime(bench.clock, 4 * TTL_MS);
    assert.equal(lagging.leaderships.length, 1);
    lagging.releaseWatch();
    await passUntil(bench.clock, () => lagging.leads, 'it leads once its state is there');
  });

  it('lets another lead where the one elected lags', async () => {
    const lagging = await candidate('m1', { lagging: true });
    assert.ok(lagging.sent.some(({ ops }) => ops.some(({ key }) => key === 'leader')));
    const other = await candidate('m2');
    assert.equal(other.leads, false);
    await passUntil(bench.clock, () => other.leads, 'the other leads', TTL_MS);
    assert.deepEqual(lagging.leaderships, []);
  });
});

describe('a leadership', () => {
  it('gives no fence once the lease may have run out, though nobody has said so yet', async () => {
    const bench = leaderBench();
    const lease = await bench.store.lease(TTL_MS);
    const leadership = leadershipOf(lease, 3, new AbortController().signal, bench.clock);
    assert.deepEqual(leadership.fence(new TransactionBuilder()).build().compare, [{ key: 'leader', createRevision: 3 }]);
    // The process stood still: no timer has run.
    const stalled = { ...bench.clock, nowMs: () => lease.deadlineMs };
    const late = leadershipOf(lease, 3, new AbortController().signal, stalled);
    assert.throws(() => late.fence(new TransactionBuilder()), { code: 'failed_precondition' });
    await bench.stop();
  });
});
