import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { anySignal } from '../../../lib/any-signal.ts';

describe('any signal', () => {
  it('aborts with the first of its sources, for its reason', () => {
    const [one, other] = [new AbortController(), new AbortController()];
    const signal = anySignal([one.signal, other.signal]);
    assert.equal(signal.aborted, false);
    other.abort('the other');
    one.abort('the one');
    assert.equal(signal.reason, 'the other');
  });

  it('is aborted from the beginning where one of them is', () => {
    const [one, other] = [new AbortController(), new AbortController()];
    other.abort('before');
    assert.equal(anySignal([one.signal, other.signal]).reason, 'before');
    assert.equal(getEventListeners(one.signal, 'abort').length, 0);
  });

  it('leaves nothing at its sources once it is aborted', () => {
    const [long, short] = [new AbortController(), new AbortController()];
    anySignal([long.signal, short.signal]);
    assert.equal(getEventListeners(long.signal, 'abort').length, 1);
    short.abort();
    assert.equal(getEventListeners(long.signal, 'abort').length, 0);
    assert.equal(getEventListeners(short.signal, 'abort').length, 0);
  });
});
