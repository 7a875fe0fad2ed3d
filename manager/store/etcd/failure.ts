// What a failed call to etcd means: above all, whether the request may have been carried out.
import { status } from '@grpc/grpc-js';
import { type ErrorCode, ShoalError } from '../../../lib/errors.ts';

/**
 * unsent: it never left this process. refused: etcd answered that it did not take it, another time it may. unknown: it may or
 * may not have been carried out. The others are answers, too: it was not, and will not be when it is asked again.
 */
export type FailureKind =
  'unsent' | 'refused' | 'unknown' | 'no_space' | 'lease_gone' | 'compacted' | 'denied' | 'invalid' | 'cancelled' | 'closed';

export class EtcdFailure extends Error {
  override readonly name = 'EtcdFailure';
  readonly kind: FailureKind;
  readonly endpoint: string;

  constructor(kind: FailureKind, endpoint: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
    this.endpoint = endpoint;
  }

  /** Worth another attempt, at this or another endpoint. */
  get transient(): boolean {
    return this.kind === 'unsent' || this.kind === 'refused' || this.kind === 'unknown';
  }
}

/** By the texts of etcd's rpctypes, which are part of its wire format: clients in every language tell errors apart by them. */
const TEXTS: readonly (readonly [string, FailureKind])[] = [
  ['database space exceeded', 'no_space'],
  ['requested lease not found', 'lease_gone'],
  ['required revision has been compacted', 'compacted'],
  ['required revision is a future revision', 'invalid'],
  // With the header "hasleader" etcd answers this before it proposes anything.
  ['etcdserver: no leader', 'refused'],
  ['etcdserver: too many requests', 'refused'],
  ['etcdserver: invalid auth token', 'refused'],
  ['etcdserver: permission denied', 'denied'],
  ['etcdserver: user name is empty', 'denied'],
  ['authentication failed', 'denied'],
];

/** `sent`: it was handed to a connection. */
export function failureKind(code: number | undefined, details: string, sent: boolean): FailureKind {
  const known = TEXTS.find(([text]) => details.includes(text));
  if (known !== undefined) return known[1];
  if (!sent) return 'unsent';
  switch (code) {
    case status.INVALID_ARGUMENT:
    case status.UNIMPLEMENTED:
      return 'invalid';
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return 'denied';
    default:
      return 'unknown';
  }
}

const CODES: Readonly<Record<FailureKind, ErrorCode>> = {
  unsent: 'unavailable',
  refused: 'unavailable',
  unknown: 'unavailable',
  no_space: 'resource_exhausted',
  lease_gone: 'failed_precondition',
  compacted: 'compacted',
  denied: 'permission_denied',
  invalid: 'invalid_argument',
  cancelled: 'cancelled',
  closed: 'unavailable',
};

const NEXT: Readonly<Partial<Record<FailureKind, string>>> = {
  unsent: 'check that etcd runs and that the endpoint is right',
  refused: 'check that a majority of the etcd members runs',
  unknown: 'check etcd and the network to it',
  no_space:
    'etcd is out of space and refuses writes; reads and running tasks go on. Compact and defragment it, disarm the NOSPACE alarm, or raise --quota-backend-bytes',
  lease_gone: 'take a new lease',
  denied: 'check the user, password and certificates for etcd',
};

/** For everything but a write that may have happened. */
export function failureError(what: string, failure: EtcdFailure): ShoalError {
  const next = NEXT[failure.kind];
  const message = `${what}: etcd at ${failure.endpoint}: ${failure.message}${next === undefined ? '' : `; ${next}`}`;
  return new ShoalError(CODES[failure.kind], message, { cause: failure });
}

/** For a write of which a copy may have been, or may yet be, carried out. */
export function outcomeUnknown(what: string, cause: unknown): ShoalError {
  const why = cause instanceof EtcdFailure ? `etcd at ${cause.endpoint}: ${cause.message}` : 'cancelled while it was on its way';
  return new ShoalError('outcome_unknown', `${what}: it may or may not have happened (${why}); read back before you repeat it`, { cause });
}
