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
import { messageOf, ShoalError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { MAX_MESSAGE_BYTES } from './client.ts';
import { toStatus } from './errors.ts';
import type { CallContext, HandlersOf, MethodShape, ServiceShape } from './types.ts';

export const SERVER_OPTIONS: ChannelOptions = {
  'grpc.enable_channelz': 0,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3000,
  'grpc.http2.min_ping_interval_without_data_ms': 5000,
  'grpc.max_concurrent_streams': 1000,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
};

export interface RpcServer {
  add<S extends ServiceShape>(service: S, handlers: HandlersOf<S>): void;
  /** Resolves to the port. Rejects with `unavailable` where the address cannot be had. */
  listen(address: string, credentials: ServerCredentials): Promise<number>;
  /** Lets calls finish for `graceMs`, then cuts them. */
  stop(graceMs: number): Promise<void>;
}

export function createServer(log: Logger, options: ChannelOptions = {}): RpcServer {
  const server = new Server({ ...SERVER_OPTIONS, ...options });
  const bound: string[] = [];
  return {
    add(service, handlers) {
      const untyped = handlers as Readonly<Record<string, (...args: never[]) => unknown>>;
      const implementation = Object.entries(service).map(([name, method]) => {
        const handler = untyped[name];
        if (handler === undefined) throw new ShoalError('internal', `no handler for ${method.path}`);
        return [name, adapt(method, handler, log)];
      });
      server.addService(loggingMalformed(service, log), Object.fromEntries(implementation) as UntypedServiceImplementation);
    },
    listen: (address, credentials) =>
      new Promise((resolve, reject) => {
        server.bindAsync(address, credentials, (error, port) => {
          if (error === null) {
            bound.push(address.replace(/:\d+$/, `:${port}`));
            resolve(port);
          } else reject(new ShoalError('unavailable', `cannot listen on ${address}: ${error.message}`, { cause: error }));
        });
      }),
    stop: (graceMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          server.forceShutdown();
        }, graceMs);
        // Without channelz, forceShutdown (grpc-js 1.14) does not know the connections: draining the ports ends them.
        for (const address of bound) server.drain(address, graceMs);
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

/** grpc-js refuses bytes that are not the message by itself, and tells nobody on this side. */
function loggingMalformed<S extends ServiceShape>(service: S, log: Logger): S {
  const methods = Object.entries(service).map(([name, method]) => {
    const requestDeserialize = (bytes: Buffer): unknown => {
      try {
        return method.requestDeserialize(bytes);
      } catch (error) {
        log.warn('a malformed message was refused', { path: method.path, bytes: bytes.length, reason: messageOf(error) });
        throw error;
      }
    };
    return [name, { ...method, requestDeserialize }];
  });
  return Object.fromEntries(methods) as S;
}

/** The error in the form that grpc-js sends as a status; unexpected ones are logged, since the client learns little of them. */
export function asError(error: unknown, path: string, log: Logger): Error {
  const known = ShoalError.from(error);
  if (known.code === 'internal')
    log.error('a call failed unexpectedly', { path, error, stack: error instanceof Error ? error.stack : undefined });
  return Object.assign(new Error(known.message), toStatus(known));
}
