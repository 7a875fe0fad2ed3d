// For each filter of the scheduler: what on this node it refuses, in plain words with the numbers, and the smallest change that gets past it.
import {
  Availability,
  type EngineDescription,
  Node,
  NodeSpec,
  NodeState,
  NodeStatus,
  NodeDescription,
  Placement,
  SmallestChange,
} from '../../proto/index.ts';
import { explain, type Filter } from '../scheduler/filters.ts';
import { hostPortKey } from '../scheduler/demand.ts';
import { shapeOf } from '../scheduler/shape.ts';
import { constraintStep } from './constraint-remedy.ts';
import { countText } from './amounts.ts';
import { type Hypothesis, withEntry, withNode } from './hypothesis.ts';
import { nameOf, type RemedyContext, type Step } from './step.ts';
import { resourceStep } from './resource-remedy.ts';
import { agoText } from './times.ts';

const PROCESS_RUNTIME = 'process';

export function stepFor(filter: Filter, hypothesis: Hypothesis, context: RemedyContext): Step {
  switch (filter) {
    case 'ready':
      return readyStep(hypothesis, context);
    case 'engine':
      return engineStep(hypothesis, context);
    case 'settled':
      return settledStep(hypothesis);
    case 'resources':
      return resourceStep(hypothesis, context);
    case 'runtime':
      return runtimeStep(hypothesis);
    case 'plugins':
      return pluginStep(hypothesis);
    case 'constraints':
      return constraintStep(hypothesis, context);
    case 'platform':
      return platformStep(hypothesis);
    case 'hostPorts':
      return portStep(hypothesis, context);
    case 'maxReplicas':
      return replicasStep(hypothesis, context);
    default:
      return unknownStep(filter);
  }
}

/** A filter of the scheduler that is not explained any further here. */
function unknownStep(filter: Filter): Step {
  const [, phrase = filter] = /\((.*)\)/.exec(explain(new Map([[filter, 1]]))) ?? [];
  return { reason: phrase.replace(/ on 1 node$/, '').replace(/^1 node /, 'it is '), remedy: undefined };
}

function readyStep(hypothesis: Hypothesis, { wallMs }: RemedyContext): Step {
  const { node, status } = hypothesis.entry;
  if (node === undefined) return { reason: 'it is no longer part of the cluster', remedy: undefined };
  const name = nameOf(hypothesis);
  if (status?.state !== NodeState.NODE_READY) {
    const state = status?.state === NodeState.NODE_DOWN ? 'down' : status === undefined ? 'not heard of yet' : 'not connected';
    const message = status === undefined || status.message === '' ? '' : `: ${status.message}`;
    const since = status === undefined ? '' : agoText(status.sinceUnixMs, wallMs);
    return {
      reason: `it is ${state}${since}${message}`,
      remedy: {
        change: SmallestChange.create({ kind: 'start-node', what: `bring ${name} back: start its host and the agent on it` }),
        next: withNode(hypothesis, node, { ...(status ?? NodeStatus.create({ nodeId: node.id })), state: NodeState.NODE_READY }),
      },
    };
  }
  const availability = node.spec?.availability ?? Availability.ACTIVE;
  if (availability === Availability.ACTIVE) return { reason: 'it is not available for new tasks', remedy: undefined };
  const active = Node.create({ ...node, spec: NodeSpec.create({ ...node.spec, availability: Availability.ACTIVE }) });
  return {
    reason: availability === Availability.DRAIN ? 'it is drained' : 'it is paused: it gets no new tasks',
    remedy: {
      change: SmallestChange.create({
        kind: 'activate',
        what: `make ${name} active again`,
        command: `shoal node update --availability active ${name}`,
      }),
      next: withNode(hypothesis, active, status),
    },
  };
}

function engineStep(hypothesis: Hypothesis, { wallMs }: RemedyContext): Step {
  const trouble = hypothesis.entry.status?.description?.engine?.trouble;
  const since = trouble === undefined ? '' : agoText(trouble.sinceUnixMs, wallMs);
  return {
    reason: `its container engine does not answer${since}: ${trouble?.reason ?? ''}`,
    remedy: withEngine(
      hypothesis,
      { trouble: undefined },
      {
        kind: 'repair-engine',
        what: `get the container engine on ${nameOf(hypothesis)} to answer (systemctl status docker)`,
      },
    ),
  };
}

function settledStep(hypothesis: Hypothesis): Step {
  const name = nameOf(hypothesis);
  return {
    reason: 'it was down too often lately: it gets nothing new until it has stayed up for a while',
    remedy: {
      change: SmallestChange.create({
        kind: 'settle',
        what: `wait until ${name} has stayed up; \`shoal node inspect ${name}\` says how long`,
      }),
      next: withEntry(hypothesis, { unsettled: false }),
    },
  };
}

function runtimeStep(hypothesis: Hypothesis): Step {
  const { isProcess } = shapeOf(hypothesis.spec, hypothesis.ports);
  const name = nameOf(hypothesis);
  const image = hypothesis.spec.container?.image ?? '';
  if (isProcess) {
    return {
      reason: 'its agent runs containers, and the image "process" is for plain processes',
      remedy: withEngine(
        hypothesis,
        { runtime: PROCESS_RUNTIME },
        { kind: 'change-runtime', what: `start the agent on ${name} with --runtime process` },
      ),
    };
  }
  return {
    reason: `its agent runs plain processes only, and ${image} is a container image`,
    remedy: withEngine(
      hypothesis,
      { runtime: 'docker' },
      { kind: 'change-runtime', what: `start the agent on ${name} with a container engine` },
    ),
  };
}

function pluginStep(hypothesis: Hypothesis): Step {
  const listed = hypothesis.entry.status?.description?.engine?.plugins ?? [];
  const missing = shapeOf(hypothesis.spec, hypothesis.ports).plugins.filter((plugin) => !listed.includes(plugin));
  const names = missing.join(', ');
  return {
    reason: `its engine lacks ${names}`,
    remedy: withEngine(
      hypothesis,
      { plugins: [...listed, ...missing] },
      { kind: 'install-plugin', what: `install ${names} on ${nameOf(hypothesis)}` },
    ),
  };
}

function platformStep({ entry, spec }: Hypothesis): Step {
  const own = entry.status?.description?.platform;
  const wanted = (spec.placement?.platforms ?? []).map(({ os, arch }) => `${os || '*'}/${arch || '*'}`).join(', ');
  return {
    reason: `it is ${own === undefined ? 'of an unknown platform' : `${own.os}/${own.arch}`}, the service is for ${wanted}`,
    remedy: undefined,
  };
}

function portStep(hypothesis: Hypothesis, { tenants }: RemedyContext): Step {
  const { entry, spec, ports } = hypothesis;
  const taken = shapeOf(spec, ports).hostPorts.filter((port) => entry.hostPorts?.has(hostPortKey(port)) === true);
  const [first] = taken;
  const heldBy = taken.flatMap((port) => tenants.holdersOf(entry.id, port));
  const names = taken.map((port) => hostPortKey(port).split('/').reverse().join('/')).join(', ');
  const held = heldBy.length === 0 ? 'another task' : heldBy.join(', ');
  const free = new Map(entry.hostPorts);
  for (const port of taken) free.delete(hostPortKey(port));
  return {
    reason: `host port ${names} is used there by ${held}`,
    remedy: {
      change: SmallestChange.create({
        kind: 'free-port',
        what: `free port ${names} on ${nameOf(hypothesis)}: move or stop ${held}, or publish another port`,
        protocol: first?.protocol ?? 0,
        port: first?.port ?? 0,
        heldBy,
      }),
      next: withEntry(hypothesis, { hostPorts: free }),
    },
  };
}

function replicasStep(hypothesis: Hypothesis, { serviceName }: RemedyContext): Step {
  const { spec, copies } = hypothesis;
  const most = copies + 1;
  const placement = Placement.create({ ...spec.placement, maxReplicasPerNode: most });
  return {
    reason: `it has ${countText(copies, 'task')} of ${serviceName}, and at most ${String(spec.placement?.maxReplicasPerNode ?? 0)} are allowed per node`,
    remedy: {
      change: SmallestChange.create({
        kind: 'raise-max-replicas',
        what: `allow ${String(most)} tasks of ${serviceName} per node, or add a node`,
        command: `shoal service update --replicas-max-per-node ${String(most)} ${serviceName}`,
        maxReplicasPerNode: most,
      }),
      next: { ...hypothesis, spec: { ...spec, placement } },
    },
  };
}

function withEngine(
  hypothesis: Hypothesis,
  changes: Partial<EngineDescription>,
  change: Pick<SmallestChange, 'kind' | 'what'>,
): Step['remedy'] {
  const { node, status } = hypothesis.entry;
  const engine = status?.description?.engine;
  if (node === undefined || status === undefined || engine === undefined) return undefined;
  const description = NodeDescription.create({ ...status.description, engine: { ...engine, ...changes } });
  return { change: SmallestChange.create(change), next: withNode(hypothesis, node, { ...status, description }) };
}
