// This manager's id, made at its first start and kept in its data folder.
import { join } from 'node:path';
import { readIfThere, writeDurablySync } from '../lib/durable-file.ts';
import { messageOf, ShoalError } from '../lib/errors.ts';
import { type Ids, isId } from '../lib/ids.ts';

export function managerId(dataDir: string, ids: Ids): string {
  const file = join(dataDir, 'manager.json');
  const text = readIfThere(file)?.toString();
  if (text === undefined) {
    const id = ids.next();
    writeDurablySync(file, `${JSON.stringify({ id })}\n`);
    return id;
  }
  try {
    const { id } = JSON.parse(text) as { readonly id?: unknown };
    if (typeof id === 'string' && isId(id)) return id;
    throw new Error('no id in it');
  } catch (error) {
    throw new ShoalError('failed_precondition', `${file} cannot be read (${messageOf(error)}); remove it and this manager takes a new id`, {
      cause: error,
    });
  }
}
