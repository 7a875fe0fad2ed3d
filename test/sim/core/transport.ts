// RPC over the simulated network: what lib/rpc gives over gRPC, with the same events in the same order. Every message is encoded and decoded by the real
// codec, so that no object is ever shared between two processes.
import { EventEmitter } from 'node:events';
import { Metadata, status as grpcStatus } from '@grpc/grpc-js';
import { ShoalError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import {
  asError,
  type CallContext,
  type CallOptions,
  type ClientOf,
  fromServiceError,
  type RpcListener,
  type RpcTransport,
} from '../../../lib/rpc/index.ts';
import type { MethodShape, ServiceShape } from '../../../lib/rpc/types.ts';
import type { Channel, Network, Wire } from './network.ts';
import type { SimProcess } from './process.ts';

type AnyMethod = MethodShape<unknown, unknown, boolean, boolean>;
type AnyHandler = (...args: never[]) => unknown;

interface Served {
  readonly process: SimProcess;
  readonly log: Logger;
  readonly methods: Map<string, { readonly method: AnyMethod; readonly handler: AnyHandler }>;
}

interface WireStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Sees every message where it arrives, decoded: for what must hold of all that is told. */
export type MessageTap = (from: SimProcess, to: SimProcess, path: string, bytes: Buffer) => void;

const OK: number = grpcStatus.OK;
const UNARY_DEADLINE_MS = 10_000;
/** Of one direction; what is beyond is taken, with the sender told to wait. */
const WINDOW = 32;

/** All addresses of a world. */
export class Addresses {
  readonly served = new Map<string, Served>();
  /** Hosts by the name that addresses begin with; a connection to a host that is off is not answered. */
  readonly owners = new Map<string, () => SimProcess | undefined>();
}

export interface TransportOptions {
  readonly network: Network;
  readonly addresses: Addresses;
  /** Stands for "whatever is at that host": refuses where nobody listens. */
  readonly hostOf: (address: string) => SimProcess;
  readonly tap: MessageTap;
}

export function simTransport(process: SimProcess, options: TransportOptions): RpcTransport {
  return {
    serve: (log) => serve(process, log, options),
    connect(target) {
      const connection = new Connection(process, target, options);
      return {
        target,
        client: <S extends ServiceShape>(service: S) =>
          Object.fromEntries(
            Object.entries(service).map(([name, method]) => [name, connection.caller(method as AnyMethod)]),
          ) as ClientOf<S>,
        close: () => {
          connection.close('the connection was closed');
        },
      };
    },
  };
}

function serve(process: SimProcess, log: Logger, { addresses }: TransportOptions): RpcListener {
  const served: Served = { process, log, methods: new Map() };
  let address: string | undefined;
  return {
    add(service, handlers) {
      const untyped = handlers as Readonly<Record<string, AnyHandler>>;
      for (const [name, method] of Object.entries(service)) {
        const handler = untyped[name];
        if (handler === undefined) throw new ShoalError('internal', `no handler for ${method.path}`);
        served.methods.set(method.path, { method: method as AnyMethod, handler });
      }
    },
    listen(asked) {
      address = asked;
      process.point('network', 'listen');
      addresses.served.set(asked, served);
      process.onDeath(() => {
        if (addresses.served.get(asked) === served) addresses.served.delete(asked);
      });
      return Promise.resolve(Number(asked.slice(asked.lastIndexOf(':') + 1)));
    },
    stop() {
      if (address !== undefined && addresses.served.get(address) === served) addresses.served.delete(address);
      return Promise.resolve();
    },
  };
}

/** One call's two ends, joined by two channels. */
class Connection implements Wire {
  readonly client: SimProcess;
  server: SimProcess;
  readonly #target: string;
  readonly #options: TransportOptions;
  readonly #calls = new Set<Call>();
  #up = false;

  constructor(client: SimProcess, target: string, options: TransportOptions) {
    this.client = client;
    this.#target = target;
    this.#options = options;
    this.server = options.hostOf(target);
  }

  caller(method: AnyMethod): unknown {
    if (method.requestStream) {
      return (options: CallOptions = {}) => this.#open(method, options).client;
    }
    if (method.responseStream) {
      return (request: unknown, options: CallOptions = {}) => {
        const call = this.#open(method, options);
        call.client.write(request);
        call.client.end();
        return call.client;
      };
    }
    return (request: unknown, options: CallOptions = {}) =>
      new Promise((resolve, reject) => {
        const call = this.#open(method, { deadlineMs: UNARY_DEADLINE_MS, ...options });
        let answer: unknown;
        call.client.on('data', (value: unknown) => {
          answer = value;
        });
        call.client.on('error', (error: unknown) => {
          reject(fromServiceError(error, this.#target));
        });
        call.client.on('end', () => {
          resolve(answer);
        });
        call.client.write(request);
        call.client.end();
      });
  }

  close(reason: string): void {
    for (const call of [...this.#calls]) call.cancel(reason);
    this.#down();
  }

  broken(side: SimProcess, reason: string): void {
    for (const call of [...this.#calls]) {
      if (side === this.client) call.clientEnded({ code: grpcStatus.UNAVAILABLE, details: reason, metadata: new Metadata() });
      else call.serverGone();
    }
    if (side === this.client) this.#down();
  }

  #down(): void {
    this.#up = false;
    this.#options.network.forget(this);
  }

  #open(method: AnyMethod, options: CallOptions): Call {
    const { network, addresses } = this.#options;
    this.client.point('network', `call ${method.path}`);
    const served = addresses.served.get(this.#target);
    // Another process may listen there than the last time.
    const server = served?.process ?? this.#options.hostOf(this.#target);
    if (!this.#up || server !== this.server) {
      this.#down();
      this.server = server;
      this.#up = true;
      network.watch(this);
    }
    const call = new Call(method, this.client, this.server, this.#target, options, this.#options, () => {
      this.#calls.delete(call);
    });
    this.#calls.add(call);
    call.begin();
    return call;
  }
}

class Call {
  readonly client: Stream;
  readonly #server: Stream;
  readonly #method: AnyMethod;
  /** As the server knows it: the two sides may read messages in their own ways. */
  #served: AnyMethod;
  readonly #processes: { readonly client: SimProcess; readonly server: SimProcess };
  readonly #options: TransportOptions;
  readonly #target: string;
  readonly #metadata: Metadata;
  readonly #onOver: () => void;
  readonly #up: Channel;
  readonly #down: Channel;
  #clientOver = false;
  #serverOver = false;
  #serving = false;

  constructor(
    method: AnyMethod,
    client: SimProcess,
    server: SimProcess,
    target: string,
    call: CallOptions,
    options: TransportOptions,
    onOver: () => void,
  ) {
    this.#method = method;
    this.#served = method;
    this.#processes = { client, server };
    this.#options = options;
    this.#target = target;
    this.#metadata = call.metadata ?? new Metadata();
    this.#onOver = onOver;
    const { network } = options;
    this.#up = network.channel(client, server);
    this.#down = network.channel(server, client);
    this.client = new Stream({
      peer: target,
      encode: method.requestSerialize,
      send: (bytes) => {
        client.point('network', `send ${method.path}`);
        if (!this.#clientOver)
          this.#carry(this.#up, client, server, this.#server, bytes, (received) => this.#served.requestDeserialize(received));
      },
      half: () => {
        network.send(this.#up, () => {
          this.#server.finished();
        });
      },
      cancel: () => {
        this.cancel('the call was cancelled');
      },
    });
    this.#server = new Stream({
      peer: `${client.host.name}:1`,
      encode: (value) => this.#served.responseSerialize(value),
      send: (bytes) => {
        server.point('network', `send ${method.path}`);
        if (!this.#serverOver) this.#carry(this.#down, server, client, this.client, bytes, method.responseDeserialize);
      },
      half: () => {
        this.#serverEnds({ code: grpcStatus.OK, details: 'OK', metadata: new Metadata() });
      },
      cancel: () => undefined,
    });
    // How failCall says that a call ends with an error.
    this.#server.on('error', (error: unknown) => {
      const { code, details, metadata } = error as WireStatus;
      this.#serverEnds({ code, details, metadata });
    });
    if (call.deadlineMs !== undefined) {
      const timer = client.clock.after(call.deadlineMs, () => {
        this.#cancelAs(grpcStatus.DEADLINE_EXCEEDED, 'Deadline exceeded');
      });
      this.client.once('status', () => {
        timer.cancel();
      });
    }
    const { signal } = call;
    if (signal !== undefined) {
      const onAbort = (): void => {
        this.cancel('the call was cancelled');
      };
      if (signal.aborted) queueMicrotask(onAbort);
      else {
        signal.addEventListener('abort', onAbort, { once: true });
        this.client.once('status', () => {
          signal.removeEventListener('abort', onAbort);
        });
      }
    }
  }

  begin(): void {
    const { client, server } = this.#processes;
    this.#options.network.send(this.#up, () => {
      const served = this.#options.addresses.served.get(this.#target);
      if (served?.process !== server) {
        // Nobody listens: the host itself says so.
        this.#options.network.send({ ...this.#down }, () => {
          this.clientEnded({ code: grpcStatus.UNAVAILABLE, details: 'connection refused', metadata: new Metadata() });
        });
        return;
      }
      server.point('network', `accept ${this.#method.path}`);
      if (server.alive && !this.#serverOver) this.#dispatch(served, client);
    });
  }

  cancel(details: string): void {
    this.#cancelAs(grpcStatus.CANCELLED, details);
  }

  /** The client's side is over; it hears of it now. */
  clientEnded(status: WireStatus): void {
    if (this.#clientOver) return;
    this.#clientOver = true;
    this.#over();
    if (!this.#processes.client.alive) return;
    if (status.code === OK) this.client.finished();
    else this.client.failed(Object.assign(new Error(`${status.code}: ${status.details}`), status));
    this.client.emit('status', status);
  }

  /** The server's side: the client went away. */
  serverGone(): void {
    if (this.#serverOver) return;
    this.#serverOver = true;
    this.#over();
    if (this.#processes.server.alive && this.#serving) this.#server.gone();
  }

  #cancelAs(code: number, details: string): void {
    if (this.#clientOver) return;
    this.#options.network.send(this.#up, () => {
      this.serverGone();
    });
    this.clientEnded({ code, details, metadata: new Metadata() });
  }

  #over(): void {
    if (this.#clientOver && this.#serverOver) this.#onOver();
  }

  #serverEnds(status: WireStatus): void {
    if (this.#serverOver) return;
    this.#serverOver = true;
    this.#over();
    this.#options.network.send(this.#down, () => {
      this.clientEnded(status);
    });
    queueMicrotask(() => {
      if (this.#processes.server.alive) this.#server.gone();
    });
  }

  #carry(channel: Channel, from: SimProcess, to: SimProcess, receiver: Stream, bytes: Buffer, decode: (bytes: Buffer) => unknown): void {
    const sender = receiver === this.client ? this.#server : this.client;
    sender.inFlight++;
    this.#options.network.send(channel, () => {
      to.point('network', `receive ${this.#method.path}`);
      if (!to.alive || receiver.ended) return;
      this.#options.tap(from, to, this.#method.path, bytes);
      receiver.arrived(decode(bytes), () => {
        sender.taken();
      });
    });
  }

  #dispatch(served: Served, client: SimProcess): void {
    const entry = served.methods.get(this.#method.path);
    const path = this.#method.path;
    const { log } = served;
    this.#serving = true;
    this.#served = entry?.method ?? this.#method;
    const fail = (error: unknown): void => {
      this.#server.emit('error', asError(error, path, log));
    };
    if (entry === undefined) {
      fail(new ShoalError('unimplemented', `no method ${path}`));
      return;
    }
    const handler = entry.handler as (...args: readonly unknown[]) => unknown;
    if (this.#method.requestStream) {
      try {
        handler(this.#server);
      } catch (error) {
        fail(error);
      }
      return;
    }
    const controller = new AbortController();
    this.#server.once('cancelled', () => {
      controller.abort();
    });
    const context: CallContext = { metadata: this.#metadata, peer: `${client.host.name}:1`, signal: controller.signal };
    this.#server.once('data', (request: unknown) => {
      if (this.#method.responseStream) {
        (handler(request, this.#server, context) as Promise<void>).then(() => {
          this.#server.end();
        }, fail);
      } else {
        (handler(request, context) as Promise<unknown>).then((answer) => {
          this.#server.write(answer);
          this.#server.end();
        }, fail);
      }
    });
  }
}

interface StreamOptions {
  readonly peer: string;
  readonly encode: (value: unknown) => Buffer;
  readonly send: (bytes: Buffer) => void;
  /** This side has said everything. */
  readonly half: () => void;
  readonly cancel: () => void;
}

/** One side of a call, as far as grpc-js's streams are used: data flows once somebody listens, unless paused. */
class Stream extends EventEmitter {
  inFlight = 0;
  ended = false;
  readonly #options: StreamOptions;
  readonly #waiting: { readonly value: unknown; readonly taken: () => void }[] = [];
  #flowing: boolean | undefined;
  #draining = false;
  #saidAll = false;
  #needsDrain = false;
  #finished = false;

  constructor(options: StreamOptions) {
    super();
    this.#options = options;
    this.on('newListener', (event: string) => {
      if (event !== 'data' || this.#flowing !== undefined) return;
      this.#flowing = true;
      queueMicrotask(() => {
        this.#flow();
      });
    });
  }

  getPeer(): string {
    return this.#options.peer;
  }

  write(message: unknown): boolean {
    if (this.#saidAll || this.ended) return false;
    const bytes = this.#options.encode(message);
    // What is encoded once may go to many: each gets its own copy.
    this.#options.send(Buffer.from(bytes));
    const full = this.inFlight >= WINDOW;
    if (full) this.#needsDrain = true;
    return !full;
  }

  end(): void {
    if (this.#saidAll || this.ended) return;
    this.#saidAll = true;
    this.#options.half();
  }

  cancel(): void {
    this.#options.cancel();
  }

  pause(): this {
    this.#flowing = false;
    return this;
  }

  resume(): this {
    if (this.#flowing === true) return this;
    this.#flowing = true;
    queueMicrotask(() => {
      this.#flow();
    });
    return this;
  }

  isPaused(): boolean {
    return this.#flowing === false;
  }

  arrived(value: unknown, taken: () => void): void {
    this.#waiting.push({ value, taken });
    this.#flow();
  }

  /** One of the messages sent has been read. */
  taken(): void {
    this.inFlight--;
    if (!this.#needsDrain || this.inFlight > WINDOW / 2 || this.ended) return;
    this.#needsDrain = false;
    this.emit('drain');
  }

  /** The other side has said everything. */
  finished(): void {
    this.#finished = true;
    this.#flow();
  }

  failed(error: Error): void {
    this.#waiting.length = 0;
    this.ended = true;
    this.emit('error', error);
    this.emit('close');
  }

  /** The call is over, however it ended. */
  gone(): void {
    this.ended = true;
    this.emit('cancelled', 'cancelled');
    this.emit('close');
  }

  #flow(): void {
    if (this.#draining) return;
    this.#draining = true;
    while (this.#flowing === true && !this.ended) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      next.taken();
      this.emit('data', next.value);
    }
    this.#draining = false;
    if (!this.#finished || this.#waiting.length > 0 || this.ended || this.#flowing === false) return;
    this.#finished = false;
    this.emit('end');
  }
}
