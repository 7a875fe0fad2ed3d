// One look whether a node is there: a connection attempt, of which any answer will do.
import { connect } from 'node:net';
import { type Clock } from '../../lib/clock.ts';
import { errnoOf } from '../../lib/errors.ts';
import { type Probe, type ProbeAnswer } from './prober.ts';

export function systemProbe(clock: Clock): Probe {
  return (host, port, deadlineMs) =>
    new Promise((resolve) => {
      const socket = connect({ host, port });
      const settle = (answer: ProbeAnswer): void => {
        timer.cancel();
        // Not a polite end: it leaves nothing to wait for on either side.
        socket.resetAndDestroy();
        resolve(answer);
      };
      const timer = clock.after(
        deadlineMs,
        () => {
          settle('gone');
        },
        true,
      );
      socket.on('connect', () => {
        settle('answered');
      });
      socket.on('error', (error) => {
        settle(meaningOf(errnoOf(error)));
      });
    });
}

function meaningOf(code: string | undefined): ProbeAnswer {
  switch (code) {
    case 'ECONNREFUSED':
    case 'ECONNRESET':
      return 'answered';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EHOSTDOWN':
    case 'ETIMEDOUT':
      return 'gone';
    default:
      return 'unknown';
  }
}
