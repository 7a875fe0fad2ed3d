// ShoalError on the wire: a gRPC status, and the code and refused fields as JSON in the metadata key below.
import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { ERROR_CODES, type ErrorCode, type FieldProblem, isErrorCode, ShoalError } from '../errors.ts';

const ERROR_KEY = 'shoal-error-bin';
/** gRPC metadata is limited to 8 KiB by most peers; field problems beyond this many are counted, not listed. */
const MAX_FIELDS = 50;

interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly fields: readonly FieldProblem[];
}

export function toStatus(error: unknown): StatusObject {
  const { code, message, retryable, fields } = ShoalError.from(error);
  const metadata = new Metadata();
  const wire: WireError = { code, message: message.slice(0, 2000), retryable, fields: fields.slice(0, MAX_FIELDS) };
  metadata.set(ERROR_KEY, Buffer.from(JSON.stringify(wire)));
  return { code: ERROR_CODES[code].grpc, details: message.slice(0, 2000), metadata };
}

/** Whether the status was made by toStatus. */
export function carriesError(metadata: Metadata | null | undefined): boolean {
  return (metadata?.get(ERROR_KEY).length ?? 0) > 0;
}

/** What a call to `target` failed with: the peer's own ShoalError where it sent one, else what the transport says. */
export function fromServiceError(error: unknown, target: string): ShoalError {
  if (!isServiceError(error)) return ShoalError.from(error);
  const wire = readWire(error);
  if (wire !== undefined) return new ShoalError(wire.code, wire.message, { retryable: wire.retryable, fields: wire.fields, cause: error });
  if (isForeign(error)) {
    const message = `what answers at ${target} is no Shoal manager, but another server or a proxy (${error.details})`;
    return new ShoalError('unavailable', message, { cause: error });
  }
  const code = codeOf(error.code);
  const detail = error.details === '' ? error.message : error.details;
  return new ShoalError(code, code === 'unavailable' ? `cannot reach ${target}: ${detail}` : detail, { cause: error });
}

/**
 * A web server, or a proxy with nothing behind it, answered: grpc-js makes a status of its own from what is no gRPC. A gateway's 502 to 504 are
 * not meant: there the request may have arrived.
 */
function isForeign({ details }: ServiceError): boolean {
  return /^Received HTTP status code (?!50[234])|\bLast error: Protocol error\b/.test(details);
}

/** True where the transport failed, so that nobody knows how far the call got; false where the peer itself answered with this error. */
export function isTransportFailure(error: ShoalError): boolean {
  return isServiceError(error.cause) && readWire(error.cause) === undefined && !isForeign(error.cause);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'metadata' in error && 'details' in error && 'code' in error;
}

function readWire(error: ServiceError): WireError | undefined {
  const [bytes] = error.metadata.get(ERROR_KEY);
  if (!Buffer.isBuffer(bytes)) return undefined;
  try {
    const wire = JSON.parse(bytes.toString()) as Partial<WireError>;
    if (!isErrorCode(wire.code)) return undefined;
    return { code: wire.code, message: wire.message ?? '', retryable: wire.retryable ?? false, fields: wire.fields ?? [] };
  } catch {
    return undefined;
  }
}

function codeOf(grpc: status): ErrorCode {
  switch (grpc) {
    case status.CANCELLED:
      return 'cancelled';
    case status.UNKNOWN:
      return 'outcome_unknown';
    case status.INVALID_ARGUMENT:
      return 'invalid_argument';
    case status.DEADLINE_EXCEEDED:
      return 'deadline_exceeded';
    case status.NOT_FOUND:
      return 'not_found';
    case status.ALREADY_EXISTS:
      return 'already_exists';
    case status.PERMISSION_DENIED:
      return 'permission_denied';
    case status.RESOURCE_EXHAUSTED:
      return 'resource_exhausted';
    case status.FAILED_PRECONDITION:
      return 'failed_precondition';
    case status.ABORTED:
      return 'conflict';
    case status.OUT_OF_RANGE:
      return 'compacted';
    case status.UNIMPLEMENTED:
      return 'unimplemented';
    case status.UNAVAILABLE:
      return 'unavailable';
    case status.UNAUTHENTICATED:
      return 'unauthenticated';
    default:
      return 'internal';
  }
}
