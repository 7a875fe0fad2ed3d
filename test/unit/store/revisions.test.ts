import assert from 'node:assert/strict';
import type { IEvent } from 'etcd3';
import { keySpace, rangeEnd } from '../../../manager/store/etcd/keys.ts';
import { revisionJoiner } from '../../../manager/store/etcd/revisions.ts';
import type { WatchMessage } from '../../../manager/store/store.ts';
import { describeEvent } from '../../support/store-watch.ts';

const keys = keySpace('/p/');

function event(key: string, revision: number, type: 'Put' | 'Delete' = 'Put'): IEvent {
  const mod = String(revision);
  const kv = { key: Buffer.from(key), value: Buffer.alloc(0), create_revision: mod, mod_revision: mod, version: '1', lease: '0' };
  return { type, kv, prev_kv: kv };
}

function short(messages: readonly WatchMessage[]): string[] {
  return messages.map((message) => {
    if (message.type === 'revision') return `${message.revision}: ${message.events.map(describeEvent).join(', ')}`;
    return message.type === 'progress' ? `progress ${message.revision}` : 'compacted';
  });
}

describe('watch responses of etcd', () => {
  it('become one message per revision, with keys below the prefix only', () => {
    const joiner = revisionJoiner(keys, 'a/', 5);
    const messages = joiner.add(
      [event('/p/d/a/1', 5), event('/p/d/b/1', 5), event('/p/d/a/2', 5, 'Delete'), event('/p/d/b/2', 6), event('/p/d/a/1', 7)],
      false,
    );
    assert.deepEqual(short(messages), ['5: put a/1, delete a/2', '7: put a/1']);
    assert.equal(joiner.delivered, 7);
  });

  it('hold a revision back for as long as it may go on in the next fragment', () => {
    const joiner = revisionJoiner(keys, '', 2);
    assert.deepEqual(short(joiner.add([event('/p/d/a', 2), event('/p/d/b', 3)], true)), ['2: put a']);
    assert.deepEqual(short(joiner.add([event('/p/d/c', 3)], true)), []);
    assert.equal(joiner.delivered, 2);
    assert.deepEqual(short(joiner.add([event('/p/d/d', 3), event('/p/d/e', 4)], false)), ['3: put b, put c, put d', '4: put e']);
  });

  it('leave out what was asked for only to find a compaction', () => {
    const joiner = revisionJoiner(keys, '', 10);
    assert.deepEqual(short(joiner.add([event('/p/d/a', 9), event('/p/d/b', 10)], false)), ['10: put b']);
  });

  it("tell progress by the driver's own keys, once however many there are", () => {
    const joiner = revisionJoiner(keys, '', 2);
    assert.deepEqual(short(joiner.add([event('/p/o/1/0', 2), event('/p/o/1/1', 3)], false)), ['progress 3']);
    assert.deepEqual(short(joiner.add([event('/p/d/a', 4), event('/p/o/1/0', 4)], false)), ['4: put a']);
    assert.deepEqual(short(joiner.add([event('/p/d/a', 5), event('/p/o/1/0', 6)], false)), ['5: put a', 'progress 6']);
    assert.deepEqual(short(joiner.add([], false)), []);
  });

  it('cover a prefix up to the first key behind it', () => {
    assert.deepEqual(rangeEnd(Buffer.from('/p/')), Buffer.from('/p0'));
    assert.deepEqual(rangeEnd(Buffer.from([1, 0xff])), Buffer.from([2]));
    assert.deepEqual(rangeEnd(Buffer.from([0xff])), Buffer.from([0]));
  });
});
