// The agent's own numbers.
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Agent } from './agent-options.ts';
import type { HousekeepingCounts } from './housekeeping/housekeeper.ts';

export function registerMetrics(registry: Registry, agent: Agent): void {
  new Gauge({
    name: 'shoal_agent_tasks',
    help: 'Tasks that this node knows, finished ones included',
    registers: [registry],
    collect() {
      this.set(agent.taskCount());
    },
  });
  new Gauge({
    name: 'shoal_agent_registered',
    help: '1 while a session with a manager is open',
    registers: [registry],
    collect() {
      this.set(agent.registered() ? 1 : 0);
    },
  });
  const counted: Readonly<Record<string, { readonly help: string; readonly of: keyof HousekeepingCounts }>> = {
    shoal_agent_cleanups_total: { help: 'Clean-ups of the host', of: 'runs' },
    shoal_agent_cleanup_failures_total: { help: 'Clean-ups that could not be finished', of: 'failures' },
    shoal_agent_removed_containers_total: { help: 'Finished and left-over containers that were removed', of: 'containersRemoved' },
    shoal_agent_removed_leftovers_total: {
      help: 'Images that were removed since nothing used them, or left-over folders of plain processes',
      of: 'leftoversRemoved',
    },
    shoal_agent_freed_image_bytes_total: { help: 'Size of the images that were removed', of: 'freedBytes' },
  };
  for (const [name, { help, of }] of Object.entries(counted)) {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(agent.housekeeping()?.[of] ?? 0);
      },
    });
  }
  new Gauge({
    name: 'shoal_agent_unused_image_bytes',
    help: 'Size of the images that Shoal pulled and nothing uses, after the last clean-up',
    registers: [registry],
    collect() {
      this.set(agent.housekeeping()?.unusedBytes ?? 0);
    },
  });
  new Gauge({
    name: 'shoal_agent_streams',
    help: 'Open log and exec streams',
    registers: [registry],
    collect() {
      this.set(agent.streamCount());
    },
  });
}
