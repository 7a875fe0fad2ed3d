// The one error class and the one list of codes. A message says what, why, and what to do next.
// Errors of libraries are converted to it at the edge where they come in, and to gRPC or an exit code where they go out.

interface CodeInfo {
  /** gRPC status code. */
  readonly grpc: number;
  readonly http: number;
  /** Exit code of the CLI. */
  readonly exit: number;
  readonly retryable: boolean;
}

/** Exit codes: 1 other, 2 usage, 3 not found, 4 conflict (also with the state of what is there), 5 unavailable, 6 not converged in time, 7 denied, 130 interrupted. */
export const ERROR_CODES = {
  invalid_argument: { grpc: 3, http: 400, exit: 2, retryable: false },
  not_found: { grpc: 5, http: 404, exit: 3, retryable: false },
  already_exists: { grpc: 6, http: 409, exit: 4, retryable: false },
  conflict: { grpc: 10, http: 409, exit: 4, retryable: false },
  failed_precondition: { grpc: 9, http: 409, exit: 1, retryable: false },
  permission_denied: { grpc: 7, http: 403, exit: 7, retryable: false },
  unauthenticated: { grpc: 16, http: 401, exit: 7, retryable: false },
  unavailable: { grpc: 14, http: 503, exit: 5, retryable: true },
  deadline_exceeded: { grpc: 4, http: 504, exit: 5, retryable: true },
  resource_exhausted: { grpc: 8, http: 429, exit: 5, retryable: true },
  /** The history asked for is no longer kept: list again. */
  compacted: { grpc: 11, http: 410, exit: 1, retryable: false },
  /** A write may or may not have happened. */
  outcome_unknown: { grpc: 2, http: 500, exit: 5, retryable: true },
  not_converged: { grpc: 4, http: 504, exit: 6, retryable: false },
  unimplemented: { grpc: 12, http: 501, exit: 1, retryable: false },
  cancelled: { grpc: 1, http: 499, exit: 130, retryable: false },
  internal: { grpc: 13, http: 500, exit: 1, retryable: false },
} as const satisfies Record<string, CodeInfo>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** One refused field of a request: `path` as in "task.container.image" or "ports[1].publishedPort". */
export interface FieldProblem {
  readonly path: string;
  readonly message: string;
}

export interface ShoalErrorOptions {
  readonly cause?: unknown;
  readonly fields?: readonly FieldProblem[];
  /** Unless given, the code's own. */
  readonly retryable?: boolean;
}

export class ShoalError extends Error {
  override readonly name = 'ShoalError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly fields: readonly FieldProblem[];

  constructor(code: ErrorCode, message: string, options: ShoalErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? ERROR_CODES[code].retryable;
    this.fields = options.fields ?? [];
  }

  /** One invalid_argument that names every wrong field; `problems` is not empty. */
  static invalid(what: string, problems: readonly FieldProblem[]): ShoalError {
    const list = problems.map((problem) => `${problem.path}: ${problem.message}`).join('; ');
    return new ShoalError('invalid_argument', `${what}: ${list}`, { fields: problems });
  }

  /** `error` itself where it is a ShoalError, else an internal (or cancelled, for an abort) one around it. */
  static from(error: unknown): ShoalError {
    if (error instanceof ShoalError) return error;
    if (isAbortError(error)) return new ShoalError('cancelled', 'cancelled', { cause: error });
    return new ShoalError('internal', messageOf(error), { cause: error });
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}

export function isAbortError(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || (error as NodeJS.ErrnoException).code === 'ABORT_ERR');
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Node's error code ("ENOENT", "EADDRINUSE"), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = (error as NodeJS.ErrnoException).code;
  return typeof code === 'string' ? code : undefined;
}
