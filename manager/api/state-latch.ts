// Waits for changes of the state that concern somebody. Changes that come while nobody waits are remembered, as one.
import { ShoalError } from '../../lib/errors.ts';
import type { Change, ClusterState } from '../state/index.ts';

export interface StateLatch {
  /** Resolves once something that concerns has changed since the last call; rejects with `cancelled` when the signal aborts. One waiter. */
  changed(signal: AbortSignal): Promise<void>;
  /** As if something had changed. */
  poke(): void;
  end(): void;
}

export function stateLatch(state: ClusterState, concerns: (change: Change) => boolean): StateLatch {
  let isSet = false;
  let wake: (() => void) | undefined;
  const poke = (): void => {
    isSet = true;
    wake?.();
  };
  const unsubscribe = state.subscribe((changes) => {
    if (!isSet && changes.some(concerns)) poke();
  });
  return {
    poke,
    end: unsubscribe,
    async changed(signal) {
      if (!isSet && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const done = (): void => {
            signal.removeEventListener('abort', done);
            resolve();
          };
          wake = done;
          signal.addEventListener('abort', done, { once: true });
        });
      }
      wake = undefined;
      if (signal.aborted) throw new ShoalError('cancelled', 'the client went away');
      isSet = false;
    },
  };
}

/** Changes of a service's own rows and of its tasks. */
export function concernsService(state: ClusterState, serviceId: string): (change: Change) => boolean {
  return (change) => {
    switch (change.table) {
      case 'services':
      case 'serviceStatus':
      case 'rebalance':
        return change.id === serviceId;
      case 'specs':
        return change.id.startsWith(`${serviceId}/`);
      case 'tasks':
        return (change.after ?? change.before)?.value.serviceId === serviceId;
      case 'taskStatus':
        return state.get('tasks', change.id)?.value.serviceId === serviceId;
      default:
        return false;
    }
  };
}
