// Changes a service from what it is now: reads it, sends the new spec with the version read, and starts over where somebody else was quicker.
import { ShoalError } from '../../lib/errors.ts';
import type { CanaryWish, ServiceChange, ServiceSpec, ServiceView, UpdateServiceRequest } from '../../proto/index.ts';
import type { Control } from '../client/control.ts';
import type { IfVersion } from './plan/plan-flags.ts';
import { inFlags, type SpecPurpose } from './spec/flag-paths.ts';

/** After the first try. */
const CONFLICT_RETRIES = 2;

export interface Edited {
  readonly spec: ServiceSpec;
  readonly registryAuth: string;
  readonly noResolveImage: boolean;
  /** Tried beside the present spec; unset: rolled out. */
  readonly canary?: CanaryWish | undefined;
}

export interface ChangedService {
  readonly before: ServiceView;
  readonly change: ServiceChange;
}

/** The service as it is, and the request that changes it. Rejects with `conflict` where it is not at the version asked for. */
export async function editOf(
  control: Control,
  ref: string,
  edit: (spec: ServiceSpec) => Promise<Edited>,
  ifVersion?: IfVersion,
): Promise<{ readonly before: ServiceView; readonly request: UpdateServiceRequest }> {
  const before = await control.read((client, options) => client.getService({ ref }, options));
  if (before.spec === undefined) throw new ShoalError('internal', `the manager sent the service ${ref} without its spec`);
  if (ifVersion !== undefined && before.version !== ifVersion.version) {
    const message = `service ${before.spec.name} is at version ${String(before.version)}, not ${String(ifVersion.version)}: somebody changed it meanwhile; plan again`;
    throw new ShoalError('conflict', message);
  }
  const request = {
    ref: before.id,
    version: before.version,
    plannedDigest: ifVersion?.digest ?? '',
    canary: undefined,
    ...(await edit(before.spec)),
  };
  return { before, request };
}

/** `purpose`: by whose flags a refusal names what is wrong. Rejects with `conflict` where the service was changed again and again meanwhile; `edit` may throw. */
export async function changeService(
  control: Control,
  purpose: SpecPurpose,
  ref: string,
  edit: (spec: ServiceSpec) => Promise<Edited>,
  ifVersion?: IfVersion,
): Promise<ChangedService> {
  for (let retries = 0; ; retries++) {
    const { before, request } = await editOf(control, ref, edit, ifVersion);
    try {
      const change = await inFlags(purpose, () => control.write((client, options) => client.updateService(request, options)));
      return { before, change };
    } catch (error) {
      if (ShoalError.from(error).code !== 'conflict' || retries === CONFLICT_RETRIES || ifVersion !== undefined) throw error;
    }
  }
}
