// A pause that nobody ended in time. Its time runs by this leader's clock, and begins anew with the next one.
import { type Event } from '../../proto/index.ts';
import { formatDurationMs } from '../../lib/units.ts';
import { isPaused } from '../state/index.ts';
import type { Pass } from './pass.ts';
import { serviceEvent } from './task-events.ts';

export interface EndedPause {
  readonly number: number;
  readonly events: readonly Event[];
}

/** Undefined: there is none, or it may go on. */
export function pauseToEnd(pass: Pass): EndedPause | undefined {
  const { pause } = pass.service;
  if (pause === undefined || !isPaused(pass.service, pass.rollout.status?.value)) return undefined;
  const leftMs = pause.maxMs - pass.sinceMs(`pause:${pause.number}`);
  if (leftMs > 0) {
    pass.wakeIn(leftMs);
    return undefined;
  }
  const message = `new connections go on: nobody resumed the service within ${formatDurationMs(pause.maxMs)}`;
  return { number: pause.number, events: [serviceEvent(pass, 'resume', message)] };
}
