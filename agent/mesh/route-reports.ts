// Between the mesh and the managers: what the mesh says of the routes that it was given, and what becomes of tables that cannot be passed to it.
import type { Logger } from '../../lib/log.ts';
import type { MeshReportKind } from './mesh-link.ts';
import type { MeshHandlers } from './mesh-supervisor.ts';
import type { RelayResult, RouteRelay } from './route-relay.ts';

export interface RouteReports {
  /** What became of a table that a manager sent. */
  relayed(result: RelayResult): void;
  /** For the supervisor of the mesh. */
  readonly mesh: MeshHandlers;
}

export interface RouteReportsOptions {
  /** There is something new to report. */
  readonly changed: () => void;
  /** The whole table is needed. */
  readonly ask: () => void;
  readonly log: Logger;
}

export function routeReports(relay: RouteRelay, { changed, ask, log }: RouteReportsOptions): RouteReports {
  const relayed = (result: RelayResult): void => {
    switch (result.kind) {
      case 'refused':
        log.error('refused a route table', { reason: result.reason });
        return;
      case 'gap':
        log.warn('missed a route table; asking for the whole one', { reason: result.reason });
        ask();
        return;
      case 'passed':
      case 'held':
        return;
    }
  };
  const report = (said: MeshReportKind): void => {
    switch (said.case) {
      case 'ack':
        relay.acknowledged(said.value);
        break;
      case 'idle':
        relay.idle(said.value);
        break;
      case 'portProblems':
        relay.portProblems(said.value.ports);
        break;
      case 'needFull':
        ask();
        return;
      case 'failure':
        log.warn('the mesh could not do what it was told', { code: said.value.code, reason: said.value.message });
        return;
      case 'ready':
      case 'status':
        return;
    }
    changed();
  };
  return {
    relayed,
    mesh: {
      up(link) {
        // Increments that came while it was down were not kept: nothing is wrong with asking again.
        const result = relay.up(link, link.ready.epoch);
        if (result.kind === 'gap') ask();
        else relayed(result);
        changed();
      },
      down() {
        relay.down();
        changed();
      },
      report,
    },
  };
}
