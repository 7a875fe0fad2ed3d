// Specs from flags alone, without a manager that is asked: what is wrong with the flags is thrown, all of it.
import * as fromFlags from '../../cli/service/spec/service-spec.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { ServiceSpec } from '../../proto/index.ts';

export function createSpec(...parameters: Parameters<typeof fromFlags.createSpec>): ServiceSpec {
  return sound(fromFlags.createSpec(...parameters));
}

export function updateSpec(...parameters: Parameters<typeof fromFlags.updateSpec>): ServiceSpec {
  return sound(fromFlags.updateSpec(...parameters));
}

function sound({ spec, problems }: fromFlags.SpecDraft): ServiceSpec {
  if (problems.length > 0) throw ShoalError.invalid('wrong flags', problems);
  return spec;
}
