export { connect, MAX_MESSAGE_BYTES, type RpcConnection } from './client.ts';
export { fromServiceError } from './errors.ts';
export { asError, createServer, type RpcServer } from './server.ts';
export type { CallContext, CallOptions, ClientOf, HandlersOf } from './types.ts';
