// RPC over the simulated network: what lib/rpc gives over gRPC, with the same events in the same order. Every message is encoded and decoded by the real
// codec, so that no object is ever shared between two processes.
import { Metadata, status as grpcStatus } from '@grpc/grpc-js';
import { ShoalError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { type CallOptions, type ClientOf, fromServiceError, type RpcListener, type RpcTransport } from '../../../lib/rpc/index.ts';
import type { ServiceShape } from '../../../lib/rpc/types.ts';
import type { AnyHandler, AnyMethod, Served, TransportOptions } from './addresses.ts';
import { Call } from './call.ts';
import type { Wire } from './network.ts';
import type { SimProcess } from './process.ts';

const UNARY_DEADLINE_MS = 10_000;

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
