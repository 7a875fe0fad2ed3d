import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { EtcdFailure, failureError, failureKind, outcomeUnknown } from '../../../manager/store/etcd/failure.ts';

describe('failures of etcd', () => {
  it('are told apart by whether the request may have been carried out', () => {
    const kinds = (
      [
        [status.UNAVAILABLE, 'No connection established', false],
        [status.UNAVAILABLE, 'read ECONNRESET', true],
        [status.UNAVAILABLE, 'etcdserver: request timed out', true],
        [status.UNAVAILABLE, 'etcdserver: no leader', true],
        [status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded', true],
        [status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests', true],
        [status.NOT_FOUND, 'etcdserver: requested lease not found', true],
        [status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted', true],
        [status.INVALID_ARGUMENT, 'etcdserver: request is too large', true],
        [status.CANCELLED, 'no answer within 1.5 s', true],
        [undefined, 'something new', true],
      ] as const
    ).map(([code, details, sent]) => failureKind(code, details, sent));
    assert.deepEqual(kinds, [
      'unsent',
      'unknown',
      'unknown',
      'refused',
      'no_space',
      'refused',
      'lease_gone',
      'compacted',
      'invalid',
      'unknown',
      'unknown',
    ]);
  });

  it('say which endpoint, what, and what to do', () => {
    const failure = new EtcdFailure('no_space', 'http://e:1', 'etcdserver: mvcc: database space exceeded');
    const error = failureError('commit', failure);
    assert.equal(error.code, 'resource_exhausted');
    assert.match(error.message, /^commit: etcd at http:\/\/e:1: .*database space exceeded; .*Compact/);
    assert.equal(outcomeUnknown('commit', failure).code, 'outcome_unknown');
  });
});
