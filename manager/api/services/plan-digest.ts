// Names what a change comes to, so that a plan can be applied as it was shown or not at all.
import { createHash } from 'node:crypto';
import { ShoalError } from '../../../lib/errors.ts';
import { CanaryWish, ServiceSpec } from '../../../proto/index.ts';
import { withoutLogin } from '../spec-secrets.ts';

const LENGTH = 12;

/** Of the spec before a free port is chosen for it: that may be another one each time. Logins change by themselves and do not count. */
export function planDigest(spec: ServiceSpec, canary?: CanaryWish): string {
  return createHash('sha256')
    .update(ServiceSpec.encode(withoutLogin(spec)))
    .update(canary === undefined ? '' : CanaryWish.encode(canary))
    .digest('hex')
    .slice(0, LENGTH);
}

/** Throws `conflict`. Nothing was planned where `planned` is empty. */
export function refuseOtherOutcome(spec: ServiceSpec, planned: string, canary?: CanaryWish): void {
  if (planned === '' || planDigest(spec, canary) === planned) return;
  throw new ShoalError(
    'conflict',
    `this is not what was planned for service ${spec.name}: the flags are others, or its image is another one by now; plan again`,
  );
}
