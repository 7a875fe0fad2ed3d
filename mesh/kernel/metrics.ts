// What the kernel path counts, as Prometheus metrics, read when asked for. Loaded only by a mesh that serves them.
import { Counter, type Registry } from 'prom-client';
import { type KernelCounter } from './kernel-path.ts';

/** Ports with a label of their own; those beyond share one. */
const MAX_PORT_LABELS = 500;
const OTHERS = 'other';

export function registerKernelMetrics(registry: Registry, counters: () => readonly KernelCounter[]): void {
  new Counter({
    name: 'shoal_mesh_kernel_connections_total',
    help: 'Connections and flows that the kernel sent to replicas by itself; up to 10 s old',
    labelNames: ['protocol', 'port'],
    registers: [registry],
    collect() {
      // The numbers are the kernel's, so they are set anew each time.
      this.reset();
      counters().forEach(({ transport, publishedPort, connections }, index) => {
        this.labels(transport, index < MAX_PORT_LABELS ? String(publishedPort) : OTHERS).inc(connections);
      });
    },
  });
}
