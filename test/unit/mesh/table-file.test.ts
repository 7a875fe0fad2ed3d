import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ShoalError } from '../../../lib/errors.ts';
import { IngressSettings } from '../../../proto/index.ts';
import { loadTable, saveTable, tablePath } from '../../../mesh/table/file.ts';
import { fromMessage, type Table } from '../../../mesh/table/table.ts';
import { routeOf, tableOf, targetOf } from '../../support/routes.ts';

describe('saved route table', () => {
  let dataDir = '';
  const table = fromMessage(
    tableOf(5, [routeOf(80, [targetOf('a', 1001)], { settings: IngressSettings.create({ connectTimeoutMs: 50 }) }), routeOf(443, [])]),
  ) as Table;

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'shoal-mesh-'));
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  it('comes back as it was, readable by its user only', async () => {
    await saveTable(dataDir, table);
    assert.deepEqual(loadTable(dataDir), table);
    assert.equal((await stat(tablePath(dataDir))).mode & 0o777, 0o600);
  });

  it('is none where nothing was saved', () => {
    assert.equal(loadTable(dataDir), undefined);
  });

  it('is refused, with its path, when it was cut short or changed anywhere', async () => {
    await saveTable(dataDir, table);
    const whole = await readFile(tablePath(dataDir));
    const flipped = Buffer.from(whole);
    flipped.writeUInt8(flipped.readUInt8(whole.length - 3) ^ 1, whole.length - 3);
    for (const damaged of [Buffer.alloc(0), whole.subarray(0, 20), whole.subarray(0, whole.length - 1), flipped, Buffer.alloc(500)]) {
      await writeFile(tablePath(dataDir), damaged);
      assert.throws(
        () => loadTable(dataDir),
        (error: ShoalError) => error.code === 'internal' && error.message.includes(dataDir),
      );
    }
  });

  it('stays the old one when the new one cannot be written', async () => {
    await saveTable(dataDir, table);
    await rm(`${tablePath(dataDir)}.new`, { force: true });
    await assert.rejects(saveTable(join(dataDir, 'gone'), table), (error: ShoalError) => error.code === 'unavailable');
    assert.deepEqual(loadTable(dataDir), table);
  });
});
