// Copies of one transaction against a real etcd: the first decides, whatever comes after it and in whatever order.
import assert from 'node:assert/strict';
import { credentials } from '@grpc/grpc-js';
import type { ITxnResponse } from 'etcd3';
import { systemClock } from '../../../lib/clock.ts';
import { Endpoint } from '../../../manager/store/etcd/endpoint.ts';
import { EtcdFailure } from '../../../manager/store/etcd/failure.ts';
import { keySpace } from '../../../manager/store/etcd/keys.ts';
import type { Lane } from '../../../manager/store/etcd/lanes.ts';
import { type Outcome, transactionOutcome, transactionRequest } from '../../../manager/store/etcd/transaction.ts';
import type { Transaction } from '../../../manager/store/store.ts';
import { startEtcd, type TestEtcd } from '../../support/etcd.ts';
import { requirement } from '../../support/requirements.ts';
import { put } from '../../support/store-watch.ts';

const LIMITS = { timeoutMs: 5000 };

describe('copies of a transaction in etcd', function () {
  this.timeout(20_000);
  const keys = keySpace('/copies/');
  let etcd: TestEtcd | undefined;
  let endpoint: Endpoint;
  let started: Endpoint | undefined;
  let lane: Lane;

  before(async function () {
    requirement(this, 'etcd');
    etcd = await startEtcd();
    endpoint = started = new Endpoint(etcd.url, systemClock, credentials.createInsecure(), undefined);
  });

  after(async () => {
    started?.close();
    await etcd?.stop();
  });

  beforeEach(async () => {
    const { ID } = await endpoint.leases(LIMITS).leaseGrant({ TTL: 60 });
    lane = { key: keys.lane(ID, 0), set: { leaseId: ID, lost: new AbortController().signal, free: [] }, known: 0 };
  });

  const send = (operation: string, transaction: Transaction, on = lane): Promise<ITxnResponse> =>
    endpoint.kv(LIMITS).txn(transactionRequest(keys, on, operation, transaction));
  const decide = async (operation: string, transaction: Transaction): Promise<Outcome> =>
    transactionOutcome(lane, operation, transaction, await send(operation, transaction));
  const modRevision = async (key: string): Promise<number> =>
    Number((await endpoint.kv(LIMITS).range({ key: keys.data(key) })).kvs[0]?.mod_revision ?? 0);

  it('take effect once, and every later copy says when', async () => {
    const transaction = { compare: [], ops: [put('once', 'x')] };
    const first = await decide('1', transaction);
    assert.equal(first.type, 'committed');
    assert.deepEqual(await decide('1', transaction), first);
    assert.deepEqual(await decide('1', transaction), first);
    assert.equal(await modRevision('once'), first.revision);
  });

  it('stay a conflict, though what they met has gone since', async () => {
    await endpoint.kv(LIMITS).put({ key: keys.data('met'), value: Buffer.from('x') });
    const compare = { key: 'met', modRevision: 0 };
    const transaction = { compare: [compare], ops: [put('met', 'mine')] };
    const first = await decide('1', transaction);
    assert.ok(first.type === 'conflict');
    assert.deepEqual(first.failed, [compare]);
    await endpoint.kv(LIMITS).deleteRange({ key: keys.data('met') });
    assert.deepEqual(await decide('1', transaction), { type: 'conflict', revision: first.revision, failed: [] });
    assert.equal(await modRevision('met'), 0);
  });

  it('never take effect once a later operation has used the lane', async () => {
    const late = transactionRequest(keys, lane, '1', { compare: [], ops: [put('late')] });
    const second = await decide('2', { compare: [], ops: [put('second')] });
    assert.equal(second.type, 'committed');
    const response = await endpoint.kv(LIMITS).txn(late);
    assert.equal(response.succeeded, false);
    assert.equal(await modRevision('late'), 0);
    // And the late copy's else branch left the lane alone.
    lane.known = second.revision;
    assert.equal((await decide('3', { compare: [], ops: [] })).type, 'committed');
  });

  it('tell that an older operation was carried out late, so that this one is sent again', async () => {
    const old = { ...lane };
    await send('1', { compare: [], ops: [put('old')] }, old);
    const transaction = { compare: [], ops: [put('new')] };
    const moved = await decide('2', transaction);
    assert.equal(moved.type, 'lane_moved');
    lane.known = moved.revision;
    assert.equal((await decide('2', transaction)).type, 'committed');
  });

  it('are refused, all of them, when the lease of the lane is gone', async () => {
    const transaction = { compare: [], ops: [put('gone')] };
    await decide('1', transaction);
    const revision = await modRevision('gone');
    await endpoint.leases(LIMITS).leaseRevoke({ ID: lane.set.leaseId });
    await assert.rejects(send('1', transaction), (error) => error instanceof EtcdFailure && error.kind === 'lease_gone');
    lane.known = revision;
    assert.equal((await decide('2', transaction)).type, 'lane_gone');
    assert.equal(await modRevision('gone'), revision);
  });
});
