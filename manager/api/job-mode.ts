// Which modes run to an end.
import { ServiceMode } from '../../proto/index.ts';

export function isJobMode(mode: ServiceMode): boolean {
  return mode === ServiceMode.REPLICATED_JOB || mode === ServiceMode.GLOBAL_JOB;
}
