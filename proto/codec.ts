// What the generated messages are made of: a codec over protobufjs' wire functions, and the method definitions that grpc-js takes.
import protobuf from 'protobufjs/minimal.js';

/** Encodes and decodes one message type. Decoded and created objects are plain: every field present, unset ones at their default. */
export interface Codec<T> {
  readonly name: string;
  encode(message: T): Uint8Array;
  /** Throws an Error on bytes that are not this message. */
  decode(bytes: Uint8Array): T;
  /** A message with the given fields, the others at their default. */
  create(fields?: Partial<T>): T;
}

interface WireCodec {
  encode(message: unknown, writer: protobuf.Writer): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

/** @internal for generated code */
export function codec<T>(
  name: string,
  wire: WireCodec,
  read: (wire: unknown) => T,
  write: ((message: T) => unknown) | undefined,
  empty: T,
): Codec<T> {
  return {
    name,
    encode: (message) => encodeWith(wire, write === undefined ? message : write(message)),
    decode: (bytes) => read(wire.decode(bytes)),
    create: (fields) => ({ ...empty, ...fields }),
  };
}

const NONE: readonly never[] = Object.freeze([]);

/** @internal for generated code: most lists are empty, and then share one. */
export function readAll<T>(wire: readonly unknown[], read: (wire: unknown) => T): readonly T[] {
  return wire.length === 0 ? NONE : wire.map(read);
}

/** A writer with its buffer, kept from message to message; one that grew beyond this is not kept. */
const MAX_KEPT_BYTES = 64 * 1024;
let kept: protobuf.Writer | undefined;

function encodeWith(wire: WireCodec, message: unknown): Uint8Array {
  const writer = kept?.reset() ?? protobuf.Writer.create();
  // A message that cannot be encoded leaves it half way.
  kept = undefined;
  const bytes = wire.encode(message, writer).finish();
  if (writer.buf.length <= MAX_KEPT_BYTES) kept = writer;
  return bytes;
}

/** A message, or its encoding made earlier: so that one encoding can go to many streams. */
export type Encodable<T> = T | Uint8Array;

/** One RPC in the shape that grpc-js takes, with its types. */
export interface Method<Req, Res, ReqStream extends boolean, ResStream extends boolean> {
  readonly path: string;
  readonly requestStream: ReqStream;
  readonly responseStream: ResStream;
  readonly requestSerialize: (value: Encodable<Req>) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Req;
  readonly responseSerialize: (value: Encodable<Res>) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Res;
}

function serializer<T>(type: Codec<T>): (value: Encodable<T>) => Buffer {
  return (value) => {
    const bytes = value instanceof Uint8Array ? value : type.encode(value);
    return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

/** @internal for generated code */
export function method<Req, Res, A extends boolean, B extends boolean>(
  path: string,
  request: Codec<Req>,
  response: Codec<Res>,
  requestStream: A,
  responseStream: B,
): Method<Req, Res, A, B> {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: serializer(request),
    requestDeserialize: (bytes) => request.decode(bytes),
    responseSerialize: serializer(response),
    responseDeserialize: (bytes) => response.decode(bytes),
  };
}

/** The name of an enum's value ("RUNNING"), or the number as text where this version does not know it. */
export function enumName(type: Readonly<Record<string, number>>, value: number): string {
  for (const [name, number] of Object.entries(type)) {
    if (number === value) return name;
  }
  return String(value);
}
