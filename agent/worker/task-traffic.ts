// Which ports of a running task may get traffic: those that have answered, while its readiness probe (where it has one) passes.
import type { Assignment, Endpoint, Readiness, TaskStatus } from '../../proto/index.ts';
import { endpointsOf, type ProbeTargets } from '../endpoints/endpoints.ts';
import { askedPort } from '../health/ask.ts';
import type { ProbeTarget } from '../health/target.ts';
import { firstReadiness, type HealthDeps, watchReadiness } from '../health/task-health.ts';
import type { LeasedPort } from '../runtime/runtime.ts';

export interface TaskTraffic {
  endpoints(): readonly Endpoint[];
  readiness(): Readiness | undefined;
  stop(): void;
}

export interface TrafficOptions {
  readonly spec: Assignment['spec'];
  readonly target: ProbeTarget;
  /** What was last reported of the same container: it stands until it is asked again, so that a restart of the agent moves no traffic. */
  readonly recorded: TaskStatus | undefined;
  readonly probe: ProbeTargets;
  readonly health: HealthDeps;
  readonly changed: () => void;
}

export function watchTraffic(options: TrafficOptions): TaskTraffic {
  const { spec, target, recorded, health } = options;
  const controller = new AbortController();
  const { signal } = controller;
  const probe = spec?.probes?.readiness;
  // A readiness probe that asks a port shows that it answers; it need not be asked twice.
  const covered = probe === undefined ? undefined : askedPort(probe);
  let answered: ReadonlySet<LeasedPort> = new Set(target.ports.filter((port) => isAnswered(port, covered, recorded)));
  let readiness = probe === undefined ? undefined : (recorded?.readiness ?? firstReadiness(health.clock.wallMs()));

  const unasked = target.ports.filter((port) => !answered.has(port));
  const checked = { address: target.address, dataAddress: target.dataAddress, unchecked: spec?.noPortCheck ?? false };
  options.probe(
    unasked,
    checked,
    (port) => {
      answered = new Set([...answered, port]);
      options.changed();
    },
    signal,
  );
  if (probe !== undefined) {
    watchReadiness(
      probe,
      target,
      recorded?.readiness,
      (now) => {
        readiness = now;
        options.changed();
      },
      health,
      signal,
    );
  }
  return {
    endpoints: () => endpointsOf(target.ports, readiness?.ready === false ? new Set() : answered, target.dataAddress, target.address),
    readiness: () => readiness,
    stop() {
      controller.abort();
    },
  };
}

function isAnswered(port: LeasedPort, covered: number | undefined, recorded: TaskStatus | undefined): boolean {
  if (port.protocol === 'tcp' && port.targetPort === covered) return true;
  return (
    recorded?.endpoints.some(
      (endpoint) => endpoint.ready && endpoint.nodePort === port.nodePort && endpoint.targetPort === port.targetPort,
    ) ?? false
  );
}
