// What is asked of a task while it starts, and while it runs: its probes become events of its machine, and the traffic that it may get.
import type { Assignment, TaskStatus } from '../../proto/index.ts';
import type { ProbeTargets } from '../endpoints/endpoints.ts';
import type { ProbeTarget } from '../health/target.ts';
import { type HealthDeps, watchLiveness, watchStartUp } from '../health/task-health.ts';
import type { TaskEvent } from './task-model.ts';
import { type TaskTraffic, watchTraffic } from './task-traffic.ts';

export interface TaskWatch {
  /** Of a task that runs. */
  readonly traffic: TaskTraffic | undefined;
  stop(): void;
}

export interface WatchOptions {
  readonly spec: Assignment['spec'];
  readonly target: ProbeTarget;
  readonly probe: ProbeTargets;
  readonly health: HealthDeps;
  readonly dispatch: (event: TaskEvent) => void;
}

/** Undefined where nothing is to be asked: there is no start-up probe. */
export function watchStarting({ spec, target, health, dispatch }: WatchOptions): TaskWatch | undefined {
  const startUp = spec?.probes?.startup;
  if (startUp === undefined) return undefined;
  const controller = new AbortController();
  const events = {
    passed: () => {
      dispatch({ kind: 'start-up-passed' });
    },
    waits: (reason: string) => {
      dispatch({ kind: 'start-up-waits', reason });
    },
    failed: (reason: string) => {
      dispatch({ kind: 'probe-failed', reason });
    },
  };
  watchStartUp(startUp, target, events, health, controller.signal);
  return {
    traffic: undefined,
    stop() {
      controller.abort();
    },
  };
}

/** `recorded`: what an earlier agent last reported of the same container; `changed`: its traffic is another. */
export function watchRunning(options: WatchOptions, recorded: TaskStatus | undefined, changed: () => void): TaskWatch {
  const { spec, target, health, dispatch } = options;
  const controller = new AbortController();
  const traffic = watchTraffic({ ...options, recorded, changed });
  const liveness = spec?.probes?.liveness;
  if (liveness !== undefined) {
    const failed = (reason: string): void => {
      dispatch({ kind: 'probe-failed', reason });
    };
    watchLiveness(liveness, target, failed, health, controller.signal);
  }
  return {
    traffic,
    stop() {
      traffic.stop();
      controller.abort();
    },
  };
}
