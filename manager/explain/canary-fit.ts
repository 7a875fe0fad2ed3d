// Whether a spec can be tried beside the one that a service runs by. Pure.
import { PortMode, ServiceMode, type ServiceSpec } from '../../proto/index.ts';
import { startsFirst, taskDigest } from '../orchestrator/spec-rules.ts';

/** In plain words why not, and what else there is; undefined: it can. */
export function canaryProblem(base: ServiceSpec, spec: ServiceSpec): string | undefined {
  if (base.mode === ServiceMode.GLOBAL)
    return 'a global service has one task on each node, and no place beside it: update it without --canary';
  if (base.mode !== ServiceMode.REPLICATED) return 'a job has no connections to share: update it without --canary';
  if (taskDigest(base) === taskDigest(spec))
    return 'nothing that would make another task of it changes: say what the canary shall try, such as --image, or --force for the same again';
  if (!base.ports.some(isIngress) || !spec.ports.some(isIngress))
    return 'the mesh gives a canary its share of the connections, and the service publishes no port on every node: update it with --update-parallelism and --update-delay instead';
  if (base.replicas === 0) return 'the service has no replicas beside which it could run';
  if (base.replicas === 1 && !startsFirst(spec))
    return 'it would run beside the only replica, and the service is one of which only one may run at a time (it has a writable volume, a host port, or --update-order stop-first): update it without --canary, or give --update-order start-first';
  return undefined;
}

function isIngress({ mode }: { readonly mode: PortMode }): boolean {
  return mode === PortMode.INGRESS;
}
