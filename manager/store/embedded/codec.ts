// Changes and images as bytes, for the log and the snapshot files. Big-endian; text and bytes with a 32-bit length before them;
// numbers as doubles, which hold every revision exactly. A reader that runs over the end throws a RangeError.
import { ShoalError } from '../../../lib/errors.ts';
import type { Change, EngineImage, Item } from '../engine/change.ts';
import type { Op } from '../store.ts';

const COMMIT = 1;
const GRANT = 2;
const END = 3;
const PUT = 1;
const PUT_LEASED = 2;
const DELETE = 3;

interface Writer {
  byte(value: number): void;
  number(value: number): void;
  text(value: string): void;
  bytes(value: Uint8Array): void;
  finish(): Buffer;
}

interface Reader {
  readonly done: boolean;
  byte(): number;
  number(): number;
  text(): string;
  bytes(): Buffer;
}

export function encodeChanges(changes: readonly Change[]): Buffer {
  const out = writer();
  for (const change of changes) {
    switch (change.type) {
      case 'commit':
        out.byte(COMMIT);
        out.number(change.revision);
        out.number(change.ops.length);
        for (const op of change.ops) writeOp(out, op);
        break;
      case 'grant':
        out.byte(GRANT);
        out.text(change.leaseId);
        out.number(change.ttlMs);
        break;
      case 'end':
        out.byte(END);
        out.text(change.leaseId);
        out.number(change.revision);
    }
  }
  return out.finish();
}

export function decodeChanges(bytes: Buffer): Change[] {
  const input = reader(bytes);
  const changes: Change[] = [];
  while (!input.done) {
    const type = input.byte();
    if (type === COMMIT) {
      const revision = input.number();
      changes.push({ type: 'commit', revision, ops: repeat(input.number(), () => readOp(input)) });
    } else if (type === GRANT) changes.push({ type: 'grant', leaseId: input.text(), ttlMs: input.number() });
    else if (type === END) changes.push({ type: 'end', leaseId: input.text(), revision: input.number() });
    else throw unknown('change', type);
  }
  return changes;
}

/** Everything of an image but its items. */
export function encodeImageHead(image: EngineImage): Buffer {
  const out = writer();
  out.number(image.revision);
  out.number(image.nextLease);
  out.number(image.items.length);
  out.number(image.leases.length);
  for (const lease of image.leases) {
    out.text(lease.id);
    out.number(lease.ttlMs);
  }
  return out.finish();
}

export function decodeImageHead(bytes: Buffer): { readonly head: Omit<EngineImage, 'items'>; readonly itemCount: number } {
  const input = reader(bytes);
  const revision = input.number();
  const nextLease = input.number();
  const itemCount = input.number();
  const leases = repeat(input.number(), () => ({ id: input.text(), ttlMs: input.number() }));
  return { head: { revision, nextLease, leases }, itemCount };
}

export function encodeItems(items: readonly Item[]): Buffer {
  const out = writer();
  for (const item of items) {
    out.text(item.key);
    out.bytes(item.value);
    out.number(item.createRevision);
    out.number(item.modRevision);
    out.text(item.leaseId ?? '');
  }
  return out.finish();
}

export function decodeItems(bytes: Buffer): Item[] {
  const input = reader(bytes);
  const items: Item[] = [];
  while (!input.done) {
    const key = input.text();
    const value = input.bytes();
    const createRevision = input.number();
    const modRevision = input.number();
    const leaseId = input.text();
    items.push({ key, value, createRevision, modRevision, leaseId: leaseId === '' ? undefined : leaseId });
  }
  return items;
}

function writeOp(out: Writer, op: Op): void {
  if (op.type === 'delete') {
    out.byte(DELETE);
    out.text(op.key);
    return;
  }
  out.byte(op.leaseId === undefined ? PUT : PUT_LEASED);
  out.text(op.key);
  out.bytes(op.value);
  if (op.leaseId !== undefined) out.text(op.leaseId);
}

function readOp(input: Reader): Op {
  const type = input.byte();
  const key = input.text();
  if (type === DELETE) return { type: 'delete', key };
  if (type !== PUT && type !== PUT_LEASED) throw unknown('operation', type);
  const value = input.bytes();
  return type === PUT ? { type: 'put', key, value } : { type: 'put', key, value, leaseId: input.text() };
}

function repeat<T>(count: number, read: () => T): T[] {
  return Array.from({ length: count }, read);
}

function unknown(what: string, type: number): ShoalError {
  return new ShoalError('failed_precondition', `a ${what} of the unknown kind ${type}: it was written by a newer version of Shoal`);
}

function writer(): Writer {
  const parts: Uint8Array[] = [];
  const fixed = (size: number, fill: (buffer: Buffer) => void): void => {
    const buffer = Buffer.allocUnsafe(size);
    fill(buffer);
    parts.push(buffer);
  };
  const bytes = (value: Uint8Array): void => {
    fixed(4, (buffer) => buffer.writeUInt32BE(value.length));
    parts.push(value);
  };
  return {
    byte: (value) => {
      fixed(1, (buffer) => buffer.writeUInt8(value));
    },
    number: (value) => {
      fixed(8, (buffer) => buffer.writeDoubleBE(value));
    },
    text: (value) => {
      bytes(Buffer.from(value));
    },
    bytes,
    finish: () => Buffer.concat(parts),
  };
}

function reader(buffer: Buffer): Reader {
  let offset = 0;
  const step = (size: number): number => {
    const at = offset;
    offset += size;
    if (offset > buffer.length) throw new RangeError('the record ends too early');
    return at;
  };
  const bytes = (): Buffer => {
    const length = buffer.readUInt32BE(step(4));
    const at = step(length);
    // A copy, so that one small value does not hold the whole file in memory.
    return Buffer.from(buffer.subarray(at, at + length));
  };
  return {
    get done() {
      return offset >= buffer.length;
    },
    byte: () => buffer.readUInt8(step(1)),
    number: () => buffer.readDoubleBE(step(8)),
    text: () => bytes().toString(),
    bytes,
  };
}
