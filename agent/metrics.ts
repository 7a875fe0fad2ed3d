// The agent's own numbers.
import { Gauge, type Registry } from 'prom-client';
import type { Agent } from './agent.ts';

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
  new Gauge({
    name: 'shoal_agent_streams',
    help: 'Open log and exec streams',
    registers: [registry],
    collect() {
      this.set(agent.streamCount());
    },
  });
}
