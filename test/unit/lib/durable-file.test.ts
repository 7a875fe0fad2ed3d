import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { groupWriter, readIfThere, systemDisk, watchedDisk, writeDurably, writeDurablySync } from '../../../lib/durable-file.ts';
import { manualClock } from '../../support/manual-clock.ts';

describe('durable files', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'shoal-durable-'));
    path = join(folder, 'file');
  });
  afterEach(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true });
  });

  it('are replaced as a whole', async () => {
    assert.equal(readIfThere(path), undefined);
    await writeDurably(path, 'one');
    writeDurablySync(path, 'two');
    assert.equal(readIfThere(path)?.toString(), 'two');
  });

  it('hold all that was changed before a flush once it resolves', async () => {
    let content = 0;
    let writes = 0;
    const writer = groupWriter(path, () => {
      writes++;
      return String(content);
    });
    const flushes = Array.from({ length: 50 }, async (_, index) => {
      content = index;
      await writer.flush();
      assert.ok(Number(readFileSync(path, 'utf8')) >= index);
    });
    await Promise.all(flushes);
    assert.equal(readFileSync(path, 'utf8'), '49');
    assert.ok(writes <= 3, `${writes} writes`);
  });

  it('are waited for at the end, for as long as may be', async () => {
    const clock = manualClock();
    let finish: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const disk = watchedDisk({ ...systemDisk, write: () => slow });
    assert.equal(await disk.settled(clock, 1000), true);
    const written = disk.write(path, 'one');
    const tooShort = disk.settled(clock, 1000);
    clock.advance(1000);
    assert.equal(await tooShort, false);
    const inTime = disk.settled(clock, 1000);
    finish();
    assert.equal(await inTime, true);
    await written;
  });

  it('say when they cannot be written, and are written the next time', async () => {
    const writer = groupWriter(join(folder, 'missing', 'file'), () => 'x');
    await assert.rejects(writer.flush());
    await assert.rejects(writer.flush());
  });
});
