import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { ShoalError } from '../../../lib/errors.ts';
import { frameStream } from '../../../manager/dispatcher/frame-stream.ts';
import type { TaskStream } from '../../../manager/dispatcher/index.ts';
import type { TaskStreamDown, TaskStreamUp } from '../../../proto/index.ts';

const line = (text: string): TaskStreamUp => ({ frame: { case: 'output', value: { source: 0, data: Buffer.from(text), timeUnixMs: 0 } } });
const end: TaskStreamUp = { frame: { case: 'end', value: { exitCode: 0, error: '', errorCode: '' } } };
const input: TaskStreamDown = { frame: { case: 'inputEnd', value: {} } };
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Gives `count` lines and the end as fast as they are taken, takes what is written only when told. */
function peer(count: number): { stream: TaskStream; given: () => number; take: () => void; closed: () => number } {
  let given = 0;
  let taken: (() => void) | undefined;
  let closed = 0;
  const call = new Duplex({
    objectMode: true,
    highWaterMark: 1,
    read() {
      given++;
      this.push(given <= count ? line(String(given)) : given === count + 1 ? end : null);
    },
    write(_frame, _encoding, done: () => void) {
      taken = done;
    },
  });
  const stream = frameStream<TaskStreamUp, TaskStreamDown>({
    call,
    unwrap: (frame) => frame,
    wrap: (frame) => frame,
    gone: () => new ShoalError('unavailable', 'gone'),
    hangUp: () => undefined,
    onClosed: () => closed++,
  });
  return { stream, given: () => given, take: () => taken?.(), closed: () => closed };
}

describe('frame stream', () => {
  it('takes no more than a few frames ahead of its reader, and loses none', async () => {
    const { stream, given, closed } = peer(500);
    for (let i = 0; i < 50; i++) await settled();
    assert.ok(given() < 40, `${given()} frames were taken without a reader`);
    let read = 0;
    for await (const frame of stream) {
      read++;
      if (frame.frame?.case === 'output') assert.equal(Buffer.from(frame.frame.value.data).toString(), String(read));
    }
    assert.equal(read, 501);
    assert.equal(closed(), 1);
  });

  it('holds its senders while the other side takes nothing, and tells them when the stream ends', async () => {
    const { stream, take } = peer(500);
    await stream.send(input);
    let sent = 0;
    const second = stream.send(input).then(() => sent++);
    await settled();
    assert.equal(sent, 0);
    take();
    await second;
    const third = stream.send(input);
    stream.close();
    await assert.rejects(third, { code: 'unavailable' });
    await assert.rejects(stream.send(input), { code: 'unavailable' });
  });
});
