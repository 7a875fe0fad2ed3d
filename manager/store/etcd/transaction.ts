// Pure: a transaction on a lane as etcd's request, and what etcd's answer says became of it.
// Compare: the lane is as we left it, and the caller's compares. Then: the lane says "committed <operation>", and the operations.
// Else: read the lane and the compared keys; if the lane is as we left it, it now says "conflict <operation>".
// So the first copy that etcd carries out decides, in both ways, and every later copy only reads what was decided.
import type { ICompare, IKeyValue, IRangeResponse, IRequestOp, ITxnRequest, ITxnResponse } from 'etcd3/lib/rpc.js';
import { compareHolds } from '../engine/engine.ts';
import type { Compare, Op, Revision, Transaction } from '../store.ts';
import type { KeySpace } from './keys.ts';
import type { Lane } from './lanes.ts';

export type Outcome =
  | { readonly type: 'committed'; readonly revision: Revision }
  /** `failed` is empty where an earlier copy met the conflict and it has gone since. */
  | { readonly type: 'conflict'; readonly revision: Revision; readonly failed: readonly Compare[] }
  /** An older operation on this lane was carried out late; this one was not, and with that lane revision it never will be. */
  | { readonly type: 'lane_moved'; readonly revision: Revision }
  /** The lane's key is gone, and with it any trace of this operation. */
  | { readonly type: 'lane_gone' };

export function transactionRequest(keys: KeySpace, lane: Lane, operation: string, transaction: Transaction): ITxnRequest {
  const unmoved: ICompare = { result: 'Equal', target: 'Mod', key: lane.key, mod_revision: lane.known };
  return {
    compare: [unmoved, ...transaction.compare.map((compare) => compareRequest(keys, compare))],
    success: [putLane(lane, committedMark(operation)), ...transaction.ops.map((op) => opRequest(keys, op))],
    failure: [
      { request_range: { key: lane.key } },
      ...comparedKeys(transaction).map((key) => ({ request_range: { key: keys.data(key), keys_only: true } })),
      { request_txn: { compare: [unmoved], success: [putLane(lane, conflictMark(operation))], failure: [] } },
    ],
  };
}

export function transactionOutcome(lane: Lane, operation: string, transaction: Transaction, response: ITxnResponse): Outcome {
  const revision = Number(response.header.revision);
  if (response.succeeded) return { type: 'committed', revision };
  const [laneRange, ...ranges] = response.responses.map((entry): IRangeResponse | undefined => entry.response_range);
  const found = laneRange?.kvs[0];
  const laneRevision = Number(found?.mod_revision ?? 0);
  const mark = found?.value.toString();
  if (mark === committedMark(operation)) return { type: 'committed', revision: laneRevision };
  const failed = failedCompares(transaction, ranges);
  if (laneRevision === lane.known) return { type: 'conflict', revision, failed };
  if (mark === conflictMark(operation)) return { type: 'conflict', revision: laneRevision, failed };
  return found === undefined ? { type: 'lane_gone' } : { type: 'lane_moved', revision: laneRevision };
}

function failedCompares(transaction: Transaction, ranges: readonly (IRangeResponse | undefined)[]): readonly Compare[] {
  const items = new Map(comparedKeys(transaction).map((key, index) => [key, revisions(ranges[index]?.kvs[0])]));
  return transaction.compare.filter((compare) => !compareHolds(compare, items.get(compare.key)));
}

function revisions(found: IKeyValue | undefined): { readonly createRevision: Revision; readonly modRevision: Revision } | undefined {
  return found && { createRevision: Number(found.create_revision), modRevision: Number(found.mod_revision) };
}

function comparedKeys(transaction: Transaction): string[] {
  return [...new Set(transaction.compare.map((compare) => compare.key))];
}

function compareRequest(keys: KeySpace, compare: Compare): ICompare {
  const key = keys.data(compare.key);
  return 'modRevision' in compare
    ? { result: 'Equal', target: 'Mod', key, mod_revision: compare.modRevision }
    : { result: 'Equal', target: 'Create', key, create_revision: compare.createRevision };
}

function opRequest(keys: KeySpace, op: Op): IRequestOp {
  const key = keys.data(op.key);
  if (op.type === 'delete') return { request_delete_range: { key } };
  const put = { key, value: bufferOf(op.value) };
  return { request_put: op.leaseId === undefined ? put : { ...put, lease: op.leaseId } };
}

function putLane(lane: Lane, mark: string): IRequestOp {
  return { request_put: { key: lane.key, value: Buffer.from(mark), lease: lane.set.leaseId } };
}

function committedMark(operation: string): string {
  return `committed ${operation}`;
}

function conflictMark(operation: string): string {
  return `conflict ${operation}`;
}

function bufferOf(value: Uint8Array): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
