// The last good table on disk (DATA/table.bin), so that a mesh that starts without an agent serves at once.
// A crash leaves the old table or the new one; a checksum tells a damaged file from a short one.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Disk, systemDisk } from '../../lib/durable-file.ts';
import { errnoOf, messageOf, ShoalError } from '../../lib/errors.ts';
import { RouteTable } from '../../proto/index.ts';
import { fromMessage, type Table, toMessage } from './table.ts';

const MAGIC = Buffer.from('shoalrt1');
const DIGEST_BYTES = 32;

export function tablePath(dataDir: string): string {
  return join(dataDir, 'table.bin');
}

/** Durable when it resolves. Throws `resource_exhausted` where the disk is full, else `unavailable`. One call at a time. */
export async function saveTable(dataDir: string, table: Table, disk: Disk = systemDisk): Promise<void> {
  const path = tablePath(dataDir);
  const payload = RouteTable.encode(toMessage(table));
  try {
    await disk.write(path, Buffer.concat([MAGIC, digest(payload), payload]));
  } catch (error) {
    const full = ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '');
    throw new ShoalError(full ? 'resource_exhausted' : 'unavailable', `cannot save the route table in ${dataDir}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Undefined where there is none. Throws `internal` on a damaged or unreadable file: the caller says so and starts with none. */
export function loadTable(dataDir: string, disk: Disk = systemDisk): Table | undefined {
  const path = tablePath(dataDir);
  try {
    const bytes = disk.read(path);
    if (bytes === undefined) return undefined;
    const payload = bytes.subarray(MAGIC.length + DIGEST_BYTES);
    const intact =
      bytes.subarray(0, MAGIC.length).equals(MAGIC) && bytes.subarray(MAGIC.length, MAGIC.length + DIGEST_BYTES).equals(digest(payload));
    const table = intact ? fromMessage(RouteTable.decode(payload)) : undefined;
    if (table === undefined) throw new Error('its content is damaged');
    return table;
  } catch (error) {
    throw new ShoalError(
      'internal',
      `the saved route table ${path} cannot be used (${messageOf(error)}); starting without one until the agent sends it`,
      { cause: error },
    );
  }
}

function digest(payload: Uint8Array): Buffer {
  return createHash('sha256').update(payload).digest();
}
