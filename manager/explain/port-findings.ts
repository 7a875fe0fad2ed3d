// Published ports that nodes do not answer: which, where, why, and who has them as far as the cluster knows.
import { Finding, NodeState, PortMode, type PortProblem, PortProtocol } from '../../proto/index.ts';
import { isPublishedBy, portId } from '../state/index.ts';
import { nodeName, nodeTenants } from './node-tenants.ts';
import type { ServiceScene } from './service-scene.ts';

export function portFindings(scene: ServiceScene): readonly Finding[] {
  const { view, spec, service } = scene;
  const ingress = spec.ports.filter(({ mode }) => mode === PortMode.INGRESS);
  if (ingress.length === 0) return [];
  const own = new Set(ingress.map(({ protocol, publishedPort }) => portId(protocol, publishedPort)));
  const found: Finding[] = [];
  for (const { id, value: status } of view.all('nodeStatus')) {
    if (status.state !== NodeState.NODE_READY || view.get('nodes', id) === undefined) continue;
    const about = { nodeId: id, nodeHostname: nodeName(view, id) };
    if (status.meshUnready) {
      found.push(
        Finding.create({
          ...about,
          kind: 'mesh-unready',
          reason: `the mesh of ${about.nodeHostname} does not answer${status.message === '' ? '' : ` (${status.message})`}: the service's ports may not be served there`,
          wayOut: `look at the agent's log on ${about.nodeHostname}`,
        }),
      );
    }
    for (const problem of status.portProblems) {
      const key = portId(problem.protocol, problem.publishedPort);
      const claim = view.get('byPort', key)?.value;
      if (!own.has(key) || claim === undefined || !isPublishedBy(claim, service.id)) continue;
      found.push(Finding.create({ ...about, kind: 'port-not-open', ...holder(scene, id, problem) }));
    }
  }
  return found.sort((one, other) => (one.nodeHostname < other.nodeHostname ? -1 : 1));
}

function holder(
  { view, name }: ServiceScene,
  nodeId: string,
  { protocol, publishedPort, message }: PortProblem,
): Pick<Finding, 'reason' | 'wayOut'> {
  const hostname = nodeName(view, nodeId);
  const port = `${String(publishedPort)}/${protocol === PortProtocol.UDP ? 'udp' : 'tcp'}`;
  const tasks = nodeTenants(view).holdersOf(nodeId, { protocol, port: publishedPort });
  if (tasks.length > 0) {
    return {
      reason: `port ${port} is not open on ${hostname}: ${message}; ${tasks.join(', ')} uses it as a host port there`,
      wayOut: `stop or move ${tasks.join(', ')}, or publish another port of ${name}`,
    };
  }
  const socket = protocol === PortProtocol.UDP ? '-lunp' : '-ltnp';
  return {
    reason: `port ${port} is not open on ${hostname}: ${message}`,
    wayOut: `on ${hostname}, \`ss ${socket} 'sport = :${String(publishedPort)}'\` names the program that has it; other nodes answer the port meanwhile`,
  };
}
