// While nothing is wrong, what rolls (an update, a drained node) never leaves a service with fewer replicas than its update settings allow, nor has it run more slots
// twice at a time than these do; and a restart of one of Shoal's own processes stops nothing (I7). Switched on by the parts of a seed in which nothing is wrong.
import { PortMode, ServiceMode, TargetState } from '../../../proto/index.ts';
import { startsFirst } from '../../../manager/orchestrator/spec-rules.ts';
import { updateConfigOf } from '../../../manager/state/index.ts';
import { short } from '../core/trace.ts';
import type { Container } from '../parts/engine.ts';
import type { Truth } from '../truth/truth.ts';

interface Floor {
  readonly least: number;
  /** Slots that may have two tasks at a time. */
  readonly mostDoubled: number;
  readonly port: number | undefined;
}

/** Returns what switches it on, from a cluster at rest, and off. */
export function minimumIsKept(truth: Truth): { begin(): void; end(): void } {
  const floors = new Map<string, Floor>();
  const judge = (serviceId: string, count: number, where: string): void => {
    const floor = floors.get(serviceId);
    if (floor === undefined || count >= floor.least || truth.newestSpec(serviceId) === undefined) return;
    truth.fail('minimum', `service ${short(serviceId)} has ${count} replicas ${where}; its update settings leave it ${floor.least}`);
    floors.delete(serviceId);
  };
  const running = (serviceId: string): readonly Container[] =>
    [...truth.containers()].filter((one) => one.serviceId === serviceId && one.state === 'running');
  truth.listen({
    started({ serviceId }) {
      const floor = floors.get(serviceId);
      if (floor === undefined) return;
      const slots = running(serviceId).map(({ slot }) => slot);
      const doubled = new Set(slots.filter((slot, at) => slots.indexOf(slot) !== at));
      if (doubled.size > floor.mostDoubled)
        truth.fail('surge', `service ${short(serviceId)} runs ${doubled.size} slots twice; its update settings allow ${floor.mostDoubled}`);
    },
    ended({ serviceId }) {
      judge(serviceId, running(serviceId).length, 'running');
    },
    served(node, table) {
      for (const [serviceId, { port }] of floors) {
        if (port === undefined) continue;
        const route = [...table.ports.values()].find(({ publishedPort }) => publishedPort === port);
        const active = route?.targets.filter(({ state }) => state === TargetState.TARGET_ACTIVE) ?? [];
        judge(serviceId, active.length, `behind port ${port} on ${node.node.name}`);
      }
    },
  });
  return {
    begin() {
      for (const { id } of truth.mirror.all('services')) {
        const spec = truth.newestSpec(id);
        if (spec === undefined || spec.mode !== ServiceMode.REPLICATED) continue;
        const { parallelism } = updateConfigOf(spec);
        const atOnce = parallelism === 0 ? spec.replicas : parallelism;
        const slack = startsFirst(spec) ? 0 : atOnce;
        const port = spec.ports.find(({ mode }) => mode === PortMode.INGRESS)?.publishedPort;
        floors.set(id, { least: Math.max(0, spec.replicas - slack), mostDoubled: startsFirst(spec) ? atOnce : 0, port });
      }
    },
    end() {
      floors.clear();
    },
  };
}

/** I7: begun at rest, while processes of Shoal are restarted one after another. */
export function restartsAreUnnoticed(truth: Truth): { begin(): void; end(): void } {
  let on = false;
  const moved = (what: string): void => {
    if (on) truth.fail('I7', `${what}, while nothing but processes of Shoal was restarted, and nothing but readiness was lost`);
  };
  truth.listen({
    started: (container) => {
      moved(`${truth.describe(container)} was started`);
    },
    ended: (container, why) => {
      moved(`${truth.describe(container)} ended (${why})`);
    },
  });
  return {
    begin() {
      on = true;
    },
    end() {
      on = false;
    },
  };
}
