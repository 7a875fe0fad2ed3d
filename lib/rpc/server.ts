// Typed servers over @grpc/grpc-js: handlers are async functions, their errors become statuses here and nowhere else.
import type { EventEmitter } from 'node:events';
import {
  type ChannelOptions,
  type sendUnaryData,
  Server,
  type ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ShoalError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { callGuard } from './call-guard.ts';
import { KEEPALIVE, MAX_MESSAGE_BYTES } from './client.ts';
import { createDoor, type Door } from './door.ts';
import { toStatus } from './errors.ts';
import type { CallContext, HandlersOf, MethodShape, ServiceShape } from './types.ts';

const SERVER_OPTIONS: ChannelOptions = {
  'grpc.enable_channelz': 0,
  ...KEEPALIVE,
  'grpc.http2.min_ping_interval_without_data_ms': 5000,
  'grpc.max_concurrent_streams': 1000,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  // MB for what waits to be sent; new calls are refused beyond.
  'grpc-node.max_session_memory': 64,
  // A connection without a call for this long is closed; clients dial again when they have something to say.
  'grpc.max_connection_idle_ms': 5 * 60_000,
};

export interface RpcServer {
  add<S extends ServiceShape>(service: S, handlers: HandlersOf<S>): void;
  /** `address` is host:port. Resolves to the port. Rejects with `unavailable` where the address cannot be had. */
  listen(address: string, credentials: ServerCredentials): Promise<number>;
  /** Lets calls finish for `graceMs`, then cuts them. */
  stop(graceMs: number): Promise<void>;
}

export function createServer(log: Logger, options: ChannelOptions = {}): RpcServer {
  const server = new Server({ ...SERVER_OPTIONS, ...options, interceptors: [callGuard(log, MAX_MESSAGE_BYTES)] });
  const entrances: { readonly door: Door; readonly drain: (graceMs: number) => void }[] = [];
  return {
    add(service, handlers) {
      const untyped = handlers as Readonly<Record<string, (...args: never[]) => unknown>>;
      const implementation = Object.entries(service).map(([name, method]) => {
        const handler = untyped[name];
        if (handler === undefined) throw new ShoalError('internal', `no handler for ${method.path}`);
        return [name, adapt(method, handler, log)];
      });
      server.addService(service, Object.fromEntries(implementation) as UntypedServiceImplementation);
    },
    listen(address, credentials) {
      const injector = server.createConnectionInjector(credentials);
      const door = createDoor({ log, plain: !credentials._isSecure(), admit: (socket) => injector.injectConnection(socket) });
      entrances.push({ door, drain: (graceMs) => injector.drain(graceMs) });
      return door.open(address);
    },
    stop: (graceMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          server.forceShutdown();
        }, graceMs);
        // Without channelz, forceShutdown (grpc-js 1.14) does not know the connections: draining ends them.
        for (const { door, drain } of entrances) {
          door.close();
          drain(graceMs);
        }
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}

type AnyHandler = (...args: never[]) => unknown;

function adapt(method: MethodShape<unknown, unknown, boolean, boolean>, handler: AnyHandler, log: Logger): (...args: never[]) => void {
  if (method.requestStream) {
    const bidi = handler as (call: ServerDuplexStream<unknown, unknown>) => void;
    return (call: ServerDuplexStream<unknown, unknown>) => {
      try {
        bidi(call);
      } catch (error) {
        failCall(call, error, method.path, log);
      }
    };
  }
  if (method.responseStream) {
    const stream = handler as (request: unknown, call: ServerWritableStream<unknown, unknown>, context: CallContext) => Promise<void>;
    return (call: ServerWritableStream<unknown, unknown>) => {
      stream(call.request, call, contextOf(call)).then(
        () => {
          call.end();
        },
        (error: unknown) => {
          failCall(call, error, method.path, log);
        },
      );
    };
  }
  const unary = handler as (request: unknown, context: CallContext) => Promise<unknown>;
  return (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => {
    unary(call.request, contextOf(call)).then(
      (answer) => {
        callback(null, answer);
      },
      (error: unknown) => {
        callback(asError(error, method.path, log));
      },
    );
  };
}

function contextOf(call: ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>): CallContext {
  const controller = new AbortController();
  call.on('cancelled', () => {
    controller.abort();
  });
  return { metadata: call.metadata, peer: call.getPeer(), signal: controller.signal };
}

/** Ends a streaming call with this error as its status. (`destroy` would end it on this side only: the client would never hear of it.) */
export function failCall(call: Pick<EventEmitter, 'emit'>, error: unknown, path: string, log: Logger): void {
  call.emit('error', asError(error, path, log));
}

/** The error in the form that grpc-js sends as a status; unexpected ones are logged, since the client learns little of them. */
export function asError(error: unknown, path: string, log: Logger): Error {
  const known = ShoalError.from(error);
  if (known.code === 'internal')
    log.error('a call failed unexpectedly', { path, error, stack: error instanceof Error ? error.stack : undefined });
  return Object.assign(new Error(known.message), toStatus(known));
}
