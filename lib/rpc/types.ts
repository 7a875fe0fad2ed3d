// The shape of a generated service definition, and what client and server make of it.
import type { ClientDuplexStream, ClientReadableStream, Metadata, ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';

/** One method as proto/ generates it. */
export interface MethodShape<Req, Res, ReqStream extends boolean, ResStream extends boolean> {
  readonly path: string;
  readonly requestStream: ReqStream;
  readonly responseStream: ResStream;
  readonly requestSerialize: (value: Req | Uint8Array) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Req;
  readonly responseSerialize: (value: Res | Uint8Array) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Res;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the bound of a mapped type: each use is inferred exactly
export type ServiceShape = Readonly<Record<string, MethodShape<any, any, boolean, boolean>>>;

export interface CallOptions {
  /** Milliseconds for the whole call; for a stream: none unless given. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
}

export type ClientOf<S extends ServiceShape> = {
  readonly [K in keyof S]: S[K] extends MethodShape<infer Req, infer Res, infer A, infer B>
    ? A extends true
      ? B extends true
        ? (options?: CallOptions) => ClientDuplexStream<Req | Uint8Array, Res>
        : never
      : B extends true
        ? (request: Req, options?: CallOptions) => ClientReadableStream<Res>
        : (request: Req, options?: CallOptions) => Promise<Res>
    : never;
};

/** What a unary handler learns of its call. */
export interface CallContext {
  readonly metadata: Metadata;
  /** Address of the client. */
  readonly peer: string;
  /** Aborted when the client went away or its deadline passed. */
  readonly signal: AbortSignal;
}

export type HandlersOf<S extends ServiceShape> = {
  readonly [K in keyof S]: S[K] extends MethodShape<infer Req, infer Res, infer A, infer B>
    ? A extends true
      ? B extends true
        ? (call: ServerDuplexStream<Req, Res | Uint8Array>) => void
        : never
      : B extends true
        ? /** Ends the stream when it returns, with the error when it throws. */
          (request: Req, call: ServerWritableStream<Req, Res | Uint8Array>, context: CallContext) => Promise<void>
        : (request: Req, context: CallContext) => Promise<Res>
    : never;
};
