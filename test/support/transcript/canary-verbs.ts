// The verbs of transcripts about canaries and pauses, and what the meshes are told of them.
import assert from 'node:assert/strict';
import { formatDurationMs } from '../../../lib/units.ts';
import { routeTableOf } from '../../../manager/dispatcher/route-table.ts';
import { TargetState } from '../../../proto/index.ts';
import type { ReconcileModel } from '../reconcile-model.ts';
import { changedBy, durationOf } from './spec-words.ts';
import type { Verbs } from './transcript.ts';

export function canaryVerbs(model: ReconcileModel, settle: () => void): Pick<Verbs, 'acts' | 'views'> {
  return {
    acts: {
      /** canary NAME SHARE [after=DURATION] KEY=VALUE...: a changed spec is tried beside the present one */
      canary: ([name = '', share = '', ...words]) => {
        const after = words.find((word) => word.startsWith('after='));
        const afterMs = after === undefined ? 0 : durationOf(after.slice('after='.length));
        const changes = words.filter((word) => word !== after);
        model.canary(name, permilleOf(share), (spec) => changedBy(spec, changes), afterMs);
        settle();
      },
      /** share NAME SHARE */
      share: ([name = '', share = '']) => {
        model.changeCanary(name, { permille: permilleOf(share) });
        settle();
      },
      promote: ([name = '']) => {
        model.changeCanary(name, { promoted: true });
        settle();
      },
      abort: ([name = '']) => {
        model.abortCanary(name);
        settle();
      },
      /** scale NAME REPLICAS: with what is on trial */
      scale: ([name = '', replicas]) => {
        model.scale(name, Number(replicas));
        settle();
      },
      /** pause NAME DURATION */
      pause: ([name = '', duration = '']) => {
        model.pause(name, durationOf(duration));
        settle();
      },
    },
    views: {
      /** "8080: 6 targets, 10% to 1 more" */
      routes: ([name = '']) => {
        const cluster = model.state.get('cluster', '')?.value ?? assert.fail('no cluster');
        return routeTableOf(model.state, cluster)
          .ports.filter(({ serviceId }) => serviceId === name)
          .map(({ publishedPort, targets, canaryPermille, paused, settings }) => {
            const active = targets.filter(({ state }) => state === TargetState.TARGET_ACTIVE);
            const canaries = active.filter(({ canary }) => canary).length;
            return [
              `${publishedPort}: ${active.length - canaries} targets`,
              ...(canaries === 0 ? [] : [`${canaryPermille / 10}% to ${canaries} more`]),
              ...(targets.length > active.length ? [`${targets.length - active.length} draining`] : []),
              ...(paused ? [`new clients wait up to ${formatDurationMs(settings?.holdMs ?? 0)}`] : []),
            ].join(', ');
          });
      },
    },
  };
}

function permilleOf(share: string): number {
  const permille = Number(share.replace(/%$/, '')) * 10;
  return share.endsWith('%') && permille >= 0 && permille <= 1000 ? permille : assert.fail(`"${share}" is no share such as 10%`);
}
