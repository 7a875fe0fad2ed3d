// What a transaction may hold, the same for every driver, so that code that works on one works on the other.
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import type { StoreLimits, Transaction } from './store.ts';

/**
 * etcd takes 128 compares, and 128 operations in each branch; the etcd driver needs one compare and up to three operations itself.
 * etcd takes requests of 1.5 MiB; every compared key is sent twice, and each entry costs some bytes around it.
 */
export const STORE_LIMITS: StoreLimits = { maxListLength: 125, maxBytes: 1024 * 1024 };

/** Throws `invalid_argument` for a transaction that no driver takes. */
export function checkTransaction(transaction: Transaction, limits: StoreLimits = STORE_LIMITS): void {
  const problems: FieldProblem[] = [];
  const { compare, ops } = transaction;
  if (compare.length > limits.maxListLength) {
    problems.push({ path: 'compare', message: `${compare.length} entries, at most ${limits.maxListLength}` });
  }
  if (ops.length > limits.maxListLength) problems.push({ path: 'ops', message: `${ops.length} entries, at most ${limits.maxListLength}` });
  const bytes = transactionBytes(transaction, limits.maxBytes);
  if (bytes > limits.maxBytes) problems.push({ path: 'ops', message: `${bytes} bytes of keys and values, at most ${limits.maxBytes}` });
  const written = new Set<string>();
  for (const op of ops) {
    if (written.has(op.key)) problems.push({ path: 'ops', message: `two operations on the key "${op.key}"` });
    written.add(op.key);
  }
  if (written.has('') || compare.some((entry) => entry.key === '')) problems.push({ path: 'key', message: 'is empty' });
  if (problems.length > 0) throw ShoalError.invalid('transaction', problems);
}

/** As it counts against `maxBytes`: compared keys twice. Only a bound of it where even that is not more: most are far from the limit. */
function transactionBytes(transaction: Transaction, maxBytes: number): number {
  const bound = sumBytes(transaction, mostBytesOf);
  return bound <= maxBytes ? bound : sumBytes(transaction, (key) => Buffer.byteLength(key));
}

function sumBytes({ compare, ops }: Transaction, bytesOf: (key: string) => number): number {
  let bytes = 0;
  for (const entry of compare) bytes += 2 * bytesOf(entry.key);
  for (const op of ops) bytes += bytesOf(op.key) + (op.type === 'put' ? op.value.length : 0);
  return bytes;
}

/** UTF-8 takes at most three bytes for a UTF-16 unit. */
function mostBytesOf(key: string): number {
  return 3 * key.length;
}
