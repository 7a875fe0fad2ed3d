// One simulated call from its opening to its end on both sides: messages and ends travel through the network, each side hears of them in its own time.
import { Metadata, status as grpcStatus } from '@grpc/grpc-js';
import { ShoalError } from '../../../lib/errors.ts';
import { asError, type CallContext, type CallOptions } from '../../../lib/rpc/index.ts';
import type { AnyMethod, Served, TransportOptions } from './addresses.ts';
import type { Channel } from './network.ts';
import type { SimProcess } from './process.ts';
import { Stream } from './stream.ts';

const OK: number = grpcStatus.OK;

interface WireStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

export class Call {
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
