import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodeFrame, frameReader } from '../../../lib/frames.ts';

describe('frames', () => {
  it('come out as they went in, wherever the stream is cut', () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 });
    fc.assert(
      fc.property(payloads, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (sent, cuts) => {
        const stream = Buffer.concat(sent.map(encodeFrame));
        const received: Buffer[] = [];
        const read = frameReader(200, (payload) => received.push(Buffer.from(payload)));
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const length = cuts[turn % cuts.length] ?? 1;
          read(stream.subarray(at, at + length));
          at += length;
        }
        assert.deepEqual(
          received,
          sent.map((payload) => Buffer.from(payload)),
        );
      }),
    );
  });

  it('refuse a length above the limit before anything of it is kept', () => {
    const read = frameReader(10, () => assert.fail('no frame was whole'));
    assert.throws(() => read(encodeFrame(new Uint8Array(11))), { code: 'invalid_argument' });
  });
});
