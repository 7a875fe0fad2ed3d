// One etcd member, through etcd3's message types and stubs but with connections, deadlines and cancelling of our own: etcd3's pool
// retries writes, breaks circuits, closes channels that others use, and waits for ever on a mute member.
// Each service has a connection to itself, so that a long watch delivery does not hold up a lease renewal.
import { type ChannelCredentials, type ChannelOptions, type Client, Metadata, type ServiceError } from '@grpc/grpc-js';
import { Host } from 'etcd3/lib/connection-pool.js';
import {
  AuthClient,
  type ICallable,
  KVClient,
  LeaseClient,
  type IDuplexStream,
  type ILeaseKeepAliveRequest,
  type ILeaseKeepAliveResponse,
  type IWatchRequest,
  type IWatchResponse,
  MaintenanceClient,
  type Services,
  WatchClient,
} from 'etcd3/lib/rpc.js';
import type { Clock } from '../../../lib/clock.ts';
import { EtcdFailure, failureKind } from './failure.ts';

export interface EtcdAuth {
  readonly username: string;
  readonly password: string;
}

export interface CallLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What grpc-js gives, of which etcd3's type shows only a part. */
export interface Duplex<Request, Response> extends IDuplexStream<Request, Response> {
  pause(): void;
  resume(): void;
}

export type WatchStream = Duplex<IWatchRequest, IWatchResponse>;
export type KeepAliveStream = Duplex<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;

type ServiceName = keyof typeof Services;
type UnaryMethod = (
  payload: unknown,
  metadata: Metadata,
  options: object,
  done: (error: ServiceError | null, response: unknown) => void,
) => { cancel(): void; getPeer(): string };

/**
 * etcd ends a connection on which pings come more often than every 5 s, or more than twice while no call is open (as between the calls of a
 * client that only writes). A single answer can be large: 500 keys of up to 1.5 MiB.
 */
const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3000,
  'grpc.keepalive_permit_without_calls': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
};

export class Endpoint {
  readonly url: string;
  readonly #clock: Clock;
  readonly #auth: EtcdAuth | undefined;
  readonly #credentials: ChannelCredentials;
  readonly #hosts = new Map<ServiceName, Host>();
  #token: Promise<string> | undefined;
  #closed = false;

  constructor(url: string, clock: Clock, credentials: ChannelCredentials, auth: EtcdAuth | undefined) {
    this.url = url;
    this.#clock = clock;
    this.#credentials = credentials;
    this.#auth = auth;
  }

  kv(limits: CallLimits): KVClient {
    return new KVClient(this.#callable(limits));
  }

  leases(limits: CallLimits): LeaseClient {
    return new LeaseClient(this.#callable(limits));
  }

  maintenance(limits: CallLimits): MaintenanceClient {
    return new MaintenanceClient(this.#callable(limits));
  }

  /** The caller must listen to "error" before it does anything else, and cancel the stream in the end. */
  async openWatch(limits: CallLimits): Promise<WatchStream> {
    return (await new WatchClient(this.#callable(limits)).watch()) as WatchStream;
  }

  async openKeepAlive(limits: CallLimits): Promise<KeepAliveStream> {
    return (await new LeaseClient(this.#callable(limits)).leaseKeepAlive()) as KeepAliveStream;
  }

  /** New calls get a new connection; for a member that has gone mute. */
  reset(service: ServiceName): void {
    this.#hosts.get(service)?.resetAllServices();
  }

  failure(code: number | undefined, details: string, sent: boolean, cause: unknown): EtcdFailure {
    const kind = failureKind(code, details, sent);
    this.note(details);
    return new EtcdFailure(kind, this.url, details, cause);
  }

  /** What went wrong with a stream: a token that has run out is not used again. */
  note(details: string): void {
    if (details.includes('invalid auth token')) this.#token = undefined;
  }

  close(): void {
    this.#closed = true;
    for (const host of this.#hosts.values()) host.close();
  }

  #callable(limits: CallLimits): ICallable<undefined> {
    return {
      exec: <T>(service: ServiceName, method: string, payload: unknown) => this.#unary(service, method, payload, limits) as Promise<T>,
      withConnection: async (service, open) =>
        open({ resource: undefined, client: this.#client(service), metadata: await this.#metadata(limits) }),
      markFailed: () => undefined,
      callOptionsFactory: undefined,
    };
  }

  async #unary(service: ServiceName, method: string, payload: unknown, limits: CallLimits): Promise<unknown> {
    const metadata = service === 'Auth' ? new Metadata() : await this.#metadata(limits);
    const client = this.#client(service);
    return new Promise((resolve, reject) => {
      let problem: string | undefined;
      let sent = false;
      const stop = (why: string): void => {
        problem = why;
        sent ||= isSent();
        call.cancel();
      };
      const onAbort = (): void => {
        stop('cancelled');
      };
      const timer = this.#clock.after(limits.timeoutMs, () => {
        stop(`no answer within ${Math.round(limits.timeoutMs) / 1000} s`);
        if (!this.#closed && this.#client(service) === client) this.reset(service);
      });
      const start = (client as unknown as Readonly<Record<string, UnaryMethod>>)[method];
      if (start === undefined) throw new TypeError(`etcd has no ${service}.${method}`);
      const call = start.call(client, payload, metadata, {}, (error, response) => {
        timer.cancel();
        limits.signal?.removeEventListener('abort', onAbort);
        if (error === null) resolve(response);
        else reject(this.failure(error.code, problem ?? error.details, sent || isSent(), error));
      });
      // Until a call has a connection, its peer is the target as it was given.
      const isSent = (): boolean => call.getPeer() !== client.getChannel().getTarget();
      if (limits.signal?.aborted) onAbort();
      else limits.signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #client(service: ServiceName): Client {
    if (this.#closed) throw new EtcdFailure('closed', this.url, 'the store is closed');
    let host = this.#hosts.get(service);
    if (host === undefined) {
      host = new Host(this.url, this.#credentials, CHANNEL_OPTIONS);
      this.#hosts.set(service, host);
    }
    return host.getServiceClient(service);
  }

  async #metadata(limits: CallLimits): Promise<Metadata> {
    const metadata = new Metadata();
    // A member without a leader then refuses at once instead of serving a silent watch.
    metadata.set('hasleader', 'true');
    if (this.#auth !== undefined) metadata.set('token', await this.#authenticate(this.#auth, limits));
    return metadata;
  }

  async #authenticate(auth: EtcdAuth, limits: CallLimits): Promise<string> {
    // Not bound to the signal of the first caller: others share the answer.
    this.#token ??= new AuthClient(this.#callable({ timeoutMs: limits.timeoutMs }))
      .authenticate({ name: auth.username, password: auth.password })
      .then((response) => response.token);
    try {
      return await this.#token;
    } catch (error) {
      this.#token = undefined;
      // The call that needed it was never sent.
      if (error instanceof EtcdFailure && error.kind === 'unknown') throw new EtcdFailure('unsent', this.url, error.message, error);
      throw error;
    }
  }
}
