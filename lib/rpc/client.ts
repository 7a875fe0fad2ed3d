// Typed clients over @grpc/grpc-js: promises for unary calls, streams as they are, a deadline on every unary call.
import {
  type CallOptions as GrpcCallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { fromServiceError } from './errors.ts';
import type { CallOptions, ClientOf, MethodShape, ServiceShape } from './types.ts';

export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/**
 * A peer that is gone is known as such within 13 s. Most of these are for its answer: one that stands still for some seconds (a burst of calls, a busy host)
 * is there, and grpc-js also gives up where this process itself stood still while the answer came.
 */
export const KEEPALIVE: ChannelOptions = { 'grpc.keepalive_time_ms': 5000, 'grpc.keepalive_timeout_ms': 8000 };

/** For long-lived streams and calls alike; retries are the caller's, who knows what may be repeated. */
export const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  ...KEEPALIVE,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
};

export interface RpcConnection {
  readonly target: string;
  client<S extends ServiceShape>(service: S): ClientOf<S>;
  close(): void;
}

const UNARY_DEADLINE_MS = 10_000;

/** A connection to `target` (host:port, or unix:PATH); it connects when first used. One client per connection sees errors as ShoalError. */
export function connect(target: string, credentials: ChannelCredentials, options: ChannelOptions = {}): RpcConnection {
  const channel = new Client(target, credentials, { ...CHANNEL_OPTIONS, ...options });
  return {
    target,
    client: (service) => clientOf(service, channel, target),
    close: () => {
      channel.close();
    },
  };
}

function clientOf<S extends ServiceShape>(service: S, channel: Client, target: string): ClientOf<S> {
  const methods = Object.entries(service).map(([name, method]) => [name, caller(method, channel, target)]);
  return Object.fromEntries(methods) as ClientOf<S>;
}

function caller(method: MethodShape<unknown, unknown, boolean, boolean>, channel: Client, target: string): unknown {
  const { path, requestSerialize, responseDeserialize } = method;
  if (method.requestStream) {
    return (options: CallOptions = {}) => {
      const call = channel.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadataOf(options), deadlineOf(options));
      cancelWith(options.signal, call);
      return call;
    };
  }
  if (method.responseStream) {
    return (request: unknown, options: CallOptions = {}) => {
      const call = channel.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadataOf(options),
        deadlineOf(options),
      );
      cancelWith(options.signal, call);
      return call;
    };
  }
  return (request: unknown, options: CallOptions = {}) =>
    new Promise((resolve, reject) => {
      const deadline = deadlineOf({ deadlineMs: UNARY_DEADLINE_MS, ...options });
      const done = (error: ServiceError | null, answer?: unknown): void => {
        if (error === null) resolve(answer);
        else reject(fromServiceError(error, target));
      };
      const call = channel.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadataOf(options), deadline, done);
      cancelWith(options.signal, call);
    });
}

function metadataOf(options: CallOptions): Metadata {
  return options.metadata ?? new Metadata();
}

function deadlineOf(options: CallOptions): GrpcCallOptions {
  // grpc-js takes its deadline as a wall-clock instant and turns it into a timer at once.
  return options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
}

interface Cancellable {
  cancel(): void;
  on(event: 'status', listener: () => void): unknown;
}

function cancelWith(signal: AbortSignal | undefined, call: Cancellable): void {
  if (signal === undefined) return;
  const cancel = (): void => {
    call.cancel();
  };
  if (signal.aborted) {
    cancel();
    return;
  }
  signal.addEventListener('abort', cancel, { once: true });
  call.on('status', () => {
    signal.removeEventListener('abort', cancel);
  });
}
