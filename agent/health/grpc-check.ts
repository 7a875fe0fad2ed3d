// grpc.health.v1.Health/Check over a connection of its own; SERVING is healthy.
import { credentials } from '@grpc/grpc-js';
import { ShoalError } from '../../lib/errors.ts';
import { connect } from '../../lib/rpc/index.ts';
import { enumName, type GrpcCheck, HealthCheckRequest, HealthService, ServingStatus } from '../../proto/index.ts';
import { type Address, formatAddress } from './target.ts';
import { abortReason } from './tcp-check.ts';
import type { Answer } from './verdict.ts';

/** A probe neither shares connections nor goes over a proxy. */
const CHANNEL = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_http_proxy': 0 };
/** Beyond any timeout of a probe: the signal ends it. */
const DEADLINE_MS = 3_600_000;

/** Never rejects. */
export async function grpcCheck(check: GrpcCheck, address: Address, signal: AbortSignal): Promise<Answer> {
  const what = `grpc health ${check.service === '' ? '' : `of ${check.service} `}at ${formatAddress(address)}`;
  const connection = connect(formatAddress(address), credentials.createInsecure(), CHANNEL);
  try {
    const { status } = await connection
      .client(HealthService)
      .check(HealthCheckRequest.create({ service: check.service }), { signal, deadlineMs: DEADLINE_MS });
    if (status === ServingStatus.SERVING) return { kind: 'passed' };
    return { kind: 'failed', reason: `${what}: ${enumName(ServingStatus, status)}` };
  } catch (error) {
    return { kind: 'failed', reason: `${what}: ${signal.aborted ? abortReason(signal) : reasonOf(ShoalError.from(error))}` };
  } finally {
    connection.close();
  }
}

function reasonOf(error: ShoalError): string {
  switch (error.code) {
    case 'unimplemented':
      return 'the server does not offer grpc.health.v1';
    case 'not_found':
      return 'the server does not know this service';
    default:
      return error.message;
  }
}
