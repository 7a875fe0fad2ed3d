// The verbs of transcripts that are about nodes and the settings of the cluster.
import assert from 'node:assert/strict';
import { Availability, ClusterSettings, NodeRole } from '../../../proto/index.ts';
import type { NodeTraits } from '../placement.ts';
import type { ReconcileModel } from '../reconcile-model.ts';
import { row } from '../state-rows.ts';
import { durationOf } from './spec-words.ts';
import type { Verbs } from './transcript.ts';

const VERBS: Readonly<Record<string, (model: ReconcileModel, id: string) => void>> = {
  drain: (model, id) => {
    model.setAvailability(id, Availability.DRAIN);
  },
  pause: (model, id) => {
    model.setAvailability(id, Availability.PAUSE);
  },
  activate: (model, id) => {
    model.setAvailability(id, Availability.ACTIVE);
  },
  cut: (model, id) => {
    model.cut(id);
  },
  heal: (model, id) => {
    model.heal(id);
  },
  /** As a user does it with a node that is down. */
  evict: (model, id) => {
    const node = model.state.get('nodes', id)?.value ?? assert.fail(`no node ${id}`);
    const evictedNonce = model.state.get('sessions', id)?.value.nonce ?? '';
    model.world.change([row('nodes', id, { ...node, evictedNonce })]);
  },
  rm: (model, id) => {
    model.removeNode(id);
  },
};

const SETTINGS: Readonly<Record<string, (value: string) => Partial<ClusterSettings>>> = {
  'eviction-delay': (value) => ({ evictionDelayMs: durationOf(value) }),
  'mass-loss-percent': (value) => ({ massLossPercent: Number(value) }),
  'mass-loss-hold': (value) => ({ massLossHoldMs: durationOf(value) }),
  'preemption-gap': (value) => ({ preemptionGap: Number(value) }),
};

export function nodeVerbs(model: ReconcileModel, settle: () => void): Verbs['acts'] {
  return {
    /** nodes NAME... [cpus=N] [gpu=N] [arch=NAME] [role=manager] [LABEL=VALUE]... */
    nodes: (args) => {
      const words = args.filter((arg) => arg.includes('='));
      for (const id of args.filter((arg) => !arg.includes('='))) model.addNode({ id, cpus: 64, ...traitsOf(words) });
      settle();
    },
    /** node NAME... drain|pause|activate|cut|heal|evict|rm, or KEY=VALUE of a label, or cpus=N: all of them at once, then settled */
    node: (args) => {
      const what = args.at(-1) ?? '';
      for (const id of args.slice(0, -1)) apply(model, id, what);
      settle();
    },
    /** setting NAME=VALUE... of the cluster */
    setting: (words) => {
      const cluster = model.state.get('cluster', '')?.value ?? assert.fail('no cluster');
      const changes = words.map((word) => {
        const [key = '', value = ''] = word.split('=');
        return (SETTINGS[key] ?? assert.fail(`"${key}" is not one of ${Object.keys(SETTINGS).join(', ')}`))(value);
      });
      const settings = Object.assign({}, cluster.settings ?? ClusterSettings.create(), ...changes) as ClusterSettings;
      model.world.change([row('cluster', '', { ...cluster, settings })]);
      settle();
    },
  };
}

function apply(model: ReconcileModel, id: string, what: string): void {
  const verb = VERBS[what];
  if (verb !== undefined) {
    verb(model, id);
    return;
  }
  const [key = '', value] = what.split('=');
  assert.ok(value !== undefined, `"${what}" is not known`);
  const traits = model.hosts.nodes.get(id)?.traits ?? assert.fail(`no node ${id}`);
  model.addNode(key === 'cpus' ? { ...traits, cpus: Number(value) } : { ...traits, labels: { ...traits.labels, [key]: value } });
}

function traitsOf(words: readonly string[]): Partial<NodeTraits> {
  const traits = words.map((word): Partial<NodeTraits> => {
    const [key = '', value = ''] = word.split('=');
    switch (key) {
      case 'cpus':
        return { cpus: Number(value) };
      case 'arch':
        return { arch: value };
      case 'role':
        return { role: value === 'manager' ? NodeRole.MANAGER : NodeRole.WORKER };
      case 'gpu':
        return { generics: [{ kind: 'gpu', count: Number(value), names: [] }] };
      default:
        return { labels: { [key]: value } };
    }
  });
  const labels = Object.assign({}, ...traits.map((trait) => trait.labels ?? {})) as Record<string, string>;
  return Object.assign({}, ...traits, { labels }) as Partial<NodeTraits>;
}
