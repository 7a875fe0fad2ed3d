// Changes a service from what it is now: reads it, sends the new spec with the version read, and starts over where somebody else was quicker.
import { ShoalError } from '../../lib/errors.ts';
import type { ServiceChange, ServiceSpec, ServiceView } from '../../proto/index.ts';
import type { Control } from '../client/control.ts';
import { inFlags, type SpecPurpose } from './spec/flag-paths.ts';

/** After the first try. */
const CONFLICT_RETRIES = 2;

export interface Edited {
  readonly spec: ServiceSpec;
  readonly registryAuth: string;
  readonly noResolveImage: boolean;
}

export interface ChangedService {
  readonly before: ServiceView;
  readonly change: ServiceChange;
}

/** `purpose`: by whose flags a refusal names what is wrong. Rejects with `conflict` where the service was changed again and again meanwhile; `edit` may throw. */
export async function changeService(
  control: Control,
  purpose: SpecPurpose,
  ref: string,
  edit: (spec: ServiceSpec) => Promise<Edited>,
): Promise<ChangedService> {
  for (let retries = 0; ; retries++) {
    const before = await control.read((client, options) => client.getService({ ref }, options));
    if (before.spec === undefined) throw new ShoalError('internal', `the manager sent the service ${ref} without its spec`);
    const request = { ref: before.id, version: before.version, ...(await edit(before.spec)) };
    try {
      const change = await inFlags(purpose, () => control.write((client, options) => client.updateService(request, options)));
      return { before, change };
    } catch (error) {
      if (ShoalError.from(error).code !== 'conflict' || retries === CONFLICT_RETRIES) throw error;
    }
  }
}
