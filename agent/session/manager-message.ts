// What comes down the session's stream. Route tables are not decoded here, only their epochs read: the bytes go to the mesh as they are.
import protobuf from 'protobufjs/minimal.js';
import { AgentSessionService, Epoch, ManagerMessage, RouteTable, RouteTableDelta } from '../../proto/index.ts';

export type DownMessage =
  | { readonly kind: 'message'; readonly message: NonNullable<ManagerMessage['message']> }
  | { readonly kind: 'table'; readonly epoch: Epoch | undefined; readonly bytes: Uint8Array }
  | { readonly kind: 'delta'; readonly base: Epoch | undefined; readonly result: Epoch | undefined; readonly bytes: Uint8Array }
  /** Of a newer version of the protocol. */
  | { readonly kind: 'unknown' };

/** Field numbers of ManagerMessage.routes and .route_delta with wire type 2, as their tags. */
const TABLE_TAG = (5 << 3) | 2;
const DELTA_TAG = (6 << 3) | 2;
const FIRST_FIELD = (1 << 3) | 2;
const SECOND_FIELD = (2 << 3) | 2;

/** Throws an Error on bytes that are not this message. */
export function readManagerMessage(bytes: Uint8Array): DownMessage {
  const table = soleField(bytes, TABLE_TAG);
  if (table !== undefined) return { kind: 'table', epoch: epochField(table, FIRST_FIELD), bytes: table };
  const delta = soleField(bytes, DELTA_TAG);
  if (delta !== undefined)
    return { kind: 'delta', base: epochField(delta, FIRST_FIELD), result: epochField(delta, SECOND_FIELD), bytes: delta };
  const { message } = ManagerMessage.decode(bytes);
  if (message === undefined) return { kind: 'unknown' };
  switch (message.case) {
    case 'routes':
      return { kind: 'table', epoch: message.value.epoch, bytes: RouteTable.encode(message.value) };
    case 'routeDelta':
      return { kind: 'delta', base: message.value.base, result: message.value.result, bytes: RouteTableDelta.encode(message.value) };
    default:
      return { kind: 'message', message };
  }
}

/** The content of the one field that `bytes` consist of, where that is the one with `tag`. */
function soleField(bytes: Uint8Array, tag: number): Uint8Array | undefined {
  if (bytes[0] !== tag) return undefined;
  const reader = protobuf.Reader.create(bytes);
  reader.uint32();
  const length = reader.uint32();
  return reader.pos + length === bytes.length ? bytes.subarray(reader.pos) : undefined;
}

function epochField(bytes: Uint8Array, tag: number): Epoch | undefined {
  const reader = protobuf.Reader.create(bytes);
  while (reader.pos < reader.len) {
    const found = reader.uint32();
    if (found === tag) return Epoch.decode(reader.bytes());
    reader.skipType(found & 7);
  }
  return undefined;
}

/** The session's method, with route tables left as bytes. */
export const sessionMethods = {
  session: {
    ...AgentSessionService.session,
    responseDeserialize: readManagerMessage,
    responseSerialize: (_value: DownMessage | Uint8Array): Buffer => {
      throw new Error('the agent serves no sessions');
    },
  },
  taskStream: AgentSessionService.taskStream,
};
