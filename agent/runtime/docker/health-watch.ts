// Follows the engine's health check of one container: events as a hint, inspecting it as the truth.
import { type ContainerInspectInfo } from 'dockerode';
import { type Clock, type Timer } from '../../../lib/clock.ts';
import { type Health } from '../runtime.ts';
import { healthOf } from './instance.ts';
import { type Observer } from './observer.ts';

const STARTING_PERIOD_MS = 1000;
const SETTLED_PERIOD_MS = 10_000;

export interface HealthSource {
  readonly clock: Clock;
  readonly observer: Observer;
  /** Undefined where the container is gone. */
  inspect(): Promise<ContainerInspectInfo | undefined>;
}

/** Ends by itself where the container has no check ("none" is told once), has ended or is gone. */
export function watchHealth(
  source: HealthSource,
  taskId: string,
  onChange: (health: Health, detail: string) => void,
  signal: AbortSignal,
): void {
  if (signal.aborted) return;
  let told: Health | undefined;
  let toldDetail = '';
  let timer: Timer | undefined;
  let looking = false;
  let again = false;
  const end = (): void => {
    timer?.cancel();
    unsubscribe();
    signal.removeEventListener('abort', end);
  };
  const look = async (): Promise<void> => {
    if (looking) {
      again = true;
      return;
    }
    looking = true;
    timer?.cancel();
    try {
      const info = await source.inspect();
      if (isAborted(signal)) return;
      if (info === undefined || info.State.Status === 'exited') {
        end();
        return;
      }
      const { health, detail } = healthOf(info);
      // While it starts, a check that fails is news too.
      if (health !== told || (health === 'starting' && detail !== toldDetail)) onChange(health, detail);
      told = health;
      toldDetail = detail;
      if (health === 'none') end();
    } catch {
      // An engine that does not answer says nothing about the container; it is asked again.
    } finally {
      looking = false;
      if (!isAborted(signal) && told !== 'none') {
        timer = source.clock.after(
          again ? 0 : told === 'starting' || told === undefined ? STARTING_PERIOD_MS : SETTLED_PERIOD_MS,
          () => void look(),
          true,
        );
        again = false;
      }
    }
  };
  const unsubscribe = source.observer.subscribe(taskId, () => void look(), source.observer.stream());
  signal.addEventListener('abort', end, { once: true });
  void look();
}

/** A function, so that the compiler does not take an earlier look at the signal for the present one. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
