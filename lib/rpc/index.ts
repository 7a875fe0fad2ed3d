export { connect, MAX_MESSAGE_BYTES, type RpcConnection } from './client.ts';
export { fromServiceError, isTransportFailure } from './errors.ts';
export { asError, createServer, failCall, type RpcServer } from './server.ts';
export { grpcTransport, type RpcListener, type RpcTransport } from './transport.ts';
export type { CallContext, CallOptions, ClientOf, HandlersOf } from './types.ts';
