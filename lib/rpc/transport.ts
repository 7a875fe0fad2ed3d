// How calls travel: over gRPC connections, or, in the simulator, over a simulated network in this process. Whoever serves or dials is given one.
import { type ChannelCredentials, credentials, ServerCredentials } from '@grpc/grpc-js';
import type { Logger } from '../log.ts';
import { connect, type RpcConnection } from './client.ts';
import { createServer, type RpcServer } from './server.ts';

/** An RpcServer whose credentials are chosen already. */
export interface RpcListener extends Pick<RpcServer, 'add' | 'stop'> {
  /** `address` is host:port; port 0 asks for any. Resolves to the port. Rejects with `unavailable` where the address cannot be had. */
  listen(address: string): Promise<number>;
}

export interface RpcTransport {
  serve(log: Logger): RpcListener;
  /** Connects when first used. */
  connect(target: string): RpcConnection;
}

export interface GrpcCredentials {
  readonly server?: ServerCredentials;
  readonly client?: ChannelCredentials;
}

/** Unencrypted unless credentials are given. */
export function grpcTransport(given: GrpcCredentials = {}): RpcTransport {
  return {
    serve(log) {
      const server = createServer(log);
      return {
        add: (service, handlers) => {
          server.add(service, handlers);
        },
        listen: (address) => server.listen(address, given.server ?? ServerCredentials.createInsecure()),
        stop: (graceMs) => server.stop(graceMs),
      };
    },
    connect: (target) => connect(target, given.client ?? credentials.createInsecure()),
  };
}
