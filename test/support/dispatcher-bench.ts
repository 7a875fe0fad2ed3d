// Managers and agents of one test, started when asked for and all stopped at its end.
import assert from 'node:assert/strict';
import type { ClusterSettings } from '../../proto/index.ts';
import { dispatcherManagers, type DispatcherManager, type DispatcherManagerOptions } from './dispatcher-manager.ts';
import { fakeAgent, type FakeAgent, type FakeAgentOptions } from './fake-agent.ts';
import { until } from './until.ts';

export interface DispatcherBench {
  /** The first of the managers started. */
  readonly start: (
    ids: readonly string[],
    options?: DispatcherManagerOptions & { readonly cluster?: Partial<ClusterSettings> },
  ) => Promise<DispatcherManager>;
  readonly manager: (index: number) => DispatcherManager;
  readonly agent: (manager: DispatcherManager, options?: FakeAgentOptions) => FakeAgent;
  /** An agent that is registered. */
  readonly joined: (manager: DispatcherManager, options?: FakeAgentOptions) => Promise<FakeAgent>;
  /** The code that the agent's stream ended with. */
  readonly endOf: (agent: FakeAgent) => Promise<string>;
  readonly stop: () => Promise<void>;
}

export function dispatcherBench(): DispatcherBench {
  let managers: readonly DispatcherManager[] = [];
  const agents: FakeAgent[] = [];
  const bench: DispatcherBench = {
    async start(ids, options) {
      managers = await dispatcherManagers(ids, options);
      return bench.manager(0);
    },
    manager(index) {
      const manager = managers[index];
      assert.ok(manager);
      return manager;
    },
    agent(manager, options) {
      const made = fakeAgent(manager.address, options);
      agents.push(made);
      return made;
    },
    async joined(manager, options) {
      const made = bench.agent(manager, options);
      await made.untilRegistered();
      return made;
    },
    async endOf(agent) {
      await until(() => agent.ended() !== undefined, 'the stream ended');
      return agent.ended()?.code ?? '';
    },
    async stop() {
      for (const each of agents.splice(0)) each.close();
      await Promise.all(managers.map((manager) => manager.stop()));
      managers = [];
    },
  };
  return bench;
}
