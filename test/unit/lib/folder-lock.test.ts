import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockFolder } from '../../../lib/folder-lock.ts';
import { bootId, isAlive, processId } from '../../../lib/process-id.ts';

describe('folder lock', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'shoal-lock-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('is held by one process, and given back', () => {
    const unlock = lockFolder(folder, 'an agent');
    assert.throws(() => lockFolder(folder, 'an agent'), new RegExp(`an agent \\(pid ${process.pid}\\) already runs on ${folder}`));
    unlock();
    lockFolder(folder, 'an agent')();
  });

  it('passes over a holder that is gone, was another process with that pid, or is of another boot', () => {
    const stale = [
      { pid: 2 ** 22 + 1, startTime: '1', bootId: bootId() },
      { ...processId(process.pid), startTime: '1', bootId: bootId() },
      { ...processId(process.pid), bootId: 'an earlier one' },
    ];
    for (const holder of stale) {
      writeFileSync(join(folder, 'lock'), JSON.stringify(holder));
      lockFolder(folder, 'an agent')();
    }
  });

  it('passes over a lock that cannot be read', () => {
    writeFileSync(join(folder, 'lock'), '{"pid":');
    lockFolder(folder, 'an agent')();
  });
});

describe('process id', () => {
  it('knows its own process from another with the same pid', () => {
    assert.equal(isAlive(processId(process.pid)), true);
    assert.equal(isAlive({ pid: process.pid, startTime: '1' }), process.platform !== 'linux');
    assert.equal(isAlive({ pid: 0, startTime: '' }), false);
  });
});
