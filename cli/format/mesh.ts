// How `mesh status` shows meshes and their ports, and `mesh routes` the replicas behind the ports.
import {
  DataPath,
  enumName,
  type MeshPort,
  type MeshRoute,
  type MeshRouteView,
  type NodeMesh,
  type PortProtocol,
  TargetState,
} from '../../proto/index.ts';
import { protocolName, ruleText } from './ports.ts';
import type { ResourceFormat } from './resource.ts';
import { humanDuration, shortId } from './text.ts';

export const meshFormat: ResourceFormat<NodeMesh> = {
  headers: {
    ID: 'ID',
    Node: 'NODE',
    Status: 'STATUS',
    Table: 'TABLE',
    Ports: 'PORTS',
    Open: 'OPEN',
    Total: 'TOTAL',
    Failures: 'FAILURES',
    TurnedAway: 'TURNED AWAY',
    Error: 'ERROR',
    Version: 'VERSION',
    Pid: 'PID',
    Uptime: 'UPTIME',
    Epoch: 'EPOCH',
    SentEpoch: 'SENT EPOCH',
    LagMs: 'LAG MS',
    Problems: 'PROBLEMS',
    Waiting: 'WAITING',
  },
  columns: ['Node', 'Status', 'Table', 'Ports', 'Open', 'Total', 'Failures', 'TurnedAway', 'Error'],
  id: (node) => node.nodeId,
  fields: (node) => {
    const up = node.error === '';
    return {
      ID: node.nodeId,
      Node: nameOf(node),
      Status: up ? `Up ${humanDuration(node.uptimeMs).toLowerCase()}` : 'Unknown',
      Table: up ? table(node) : '',
      Ports: up ? portCount(node) : '',
      Open: up ? (node.sums?.open ?? 0) : '',
      Total: up ? (node.sums?.total ?? 0) : '',
      Failures: up ? (node.sums?.replicaFailures ?? 0) : '',
      TurnedAway: up ? (node.sums?.turnedAway ?? 0) : '',
      Error: node.error,
      Version: node.version,
      Pid: node.pid,
      Uptime: up ? humanDuration(node.uptimeMs) : '',
      Epoch: node.epoch?.revision ?? 0,
      SentEpoch: node.lag?.sentRevision ?? 0,
      LagMs: node.lag?.waitingMs ?? 0,
      Problems: node.sums?.problems ?? 0,
      Waiting: node.sums?.waiting ?? 0,
    };
  },
};

/** "1234", "1234 (2 seconds behind 1301)": what it serves, and what it was sent and has not acknowledged. */
function table({ epoch, lag }: NodeMesh): string {
  const has = epoch === undefined ? 'none' : String(epoch.revision);
  if (lag === undefined || (lag.waitingMs === 0 && lag.sentRevision <= (epoch?.revision ?? 0))) return has;
  return `${has} (${humanDuration(lag.waitingMs).toLowerCase()} behind ${String(lag.sentRevision)})`;
}

function portCount({ sums }: NodeMesh): string {
  const { ports = 0, problems = 0 } = sums ?? {};
  return problems === 0 ? String(ports) : `${String(ports)} (${String(problems)} not served)`;
}

/** A route of one port on one node. */
export interface MeshPortRow {
  readonly node: NodeMesh;
  readonly port: MeshPort;
  readonly route: MeshRoute;
}

export function portRows(node: NodeMesh): readonly MeshPortRow[] {
  return node.ports.flatMap((port) => port.routes.map((route) => ({ node, port, route })));
}

export const meshPortFormat: ResourceFormat<MeshPortRow> = {
  headers: {
    Node: 'NODE',
    Port: 'PORT',
    Rule: 'RULE',
    Service: 'SERVICE',
    Path: 'PATH',
    Targets: 'TARGETS',
    Open: 'OPEN',
    Total: 'TOTAL',
    Failures: 'FAILURES',
    TurnedAway: 'TURNED AWAY',
    Problem: 'PROBLEM',
    PathReason: 'PATH REASON',
    Waiting: 'WAITING',
    Rejected: 'REJECTED',
    Paused: 'PAUSED',
    Canary: 'CANARY',
    NodeID: 'NODE ID',
    ServiceID: 'SERVICE ID',
  },
  columns: ['Node', 'Port', 'Rule', 'Service', 'Path', 'Targets', 'Open', 'Total', 'Failures', 'TurnedAway', 'Problem'],
  id: ({ port }) => portName(port),
  fields: ({ node, port, route }) => ({
    Node: nameOf(node),
    Port: portName(port),
    Rule: ruleText(route.path === '' ? undefined : route),
    Service: route.serviceName,
    Path: enumName(DataPath, port.dataPath).replace('PATH_', '').toLowerCase(),
    Targets: targets(route),
    Open: route.open,
    Total: route.total,
    Failures: route.replicaFailures,
    TurnedAway: route.refused,
    Problem: port.problem,
    PathReason: port.dataPathReason,
    Waiting: route.waiting,
    Rejected: port.rejected,
    Paused: route.paused,
    Canary: share(route.canaryPermille),
    NodeID: node.nodeId,
    ServiceID: route.serviceId,
  }),
};

/** "3", "3 (1 draining)", "0 (paused)" */
function targets({ activeTargets, drainingTargets, targetsOut, paused }: MeshRoute): string {
  const remarks = [
    ...(targetsOut > 0 ? [`${String(targetsOut)} out`] : []),
    ...(drainingTargets > 0 ? [`${String(drainingTargets)} draining`] : []),
    ...(paused ? ['paused'] : []),
  ];
  return withRemarks(String(activeTargets), remarks);
}

export const meshRouteFormat: ResourceFormat<MeshRouteView> = {
  headers: {
    ID: 'ID',
    Port: 'PORT',
    Rule: 'RULE',
    Service: 'SERVICE',
    Task: 'TASK',
    Node: 'NODE',
    Address: 'ADDRESS',
    State: 'STATE',
    Open: 'OPEN',
    Weight: 'WEIGHT',
    Canary: 'CANARY',
    Paused: 'PAUSED',
    Meshes: 'MESHES',
    MeshesOut: 'MESHES OUT',
    ServiceID: 'SERVICE ID',
    NodeID: 'NODE ID',
  },
  columns: ['Port', 'Rule', 'Service', 'Task', 'Node', 'Address', 'State', 'Open'],
  id: ({ taskId }, { truncate }) => (truncate ? shortId(taskId) : taskId),
  fields: (route, { truncate }) => ({
    ID: truncate ? shortId(route.taskId) : route.taskId,
    Port: portName(route),
    Rule: ruleText(route.path === '' ? undefined : route),
    Service: route.serviceName,
    Task: route.taskName || (truncate ? shortId(route.taskId) : route.taskId),
    Node: route.nodeHostname || route.nodeId,
    Address: route.address,
    State: state(route),
    Open: route.open,
    Weight: route.weight,
    Canary: route.canary ? share(route.canaryPermille) : '',
    Paused: route.paused,
    Meshes: route.meshes,
    MeshesOut: route.meshesOut,
    ServiceID: route.serviceId,
    NodeID: route.nodeId,
  }),
};

/** "Active", "Draining", "Active (canary 10%, out on 2 of 3 nodes)" */
function state({ state: known, canary, canaryPermille, paused, meshes, meshesOut }: MeshRouteView): string {
  const remarks = [
    ...(canary ? [`canary ${share(canaryPermille)}`] : []),
    ...(paused ? ['paused'] : []),
    ...(meshesOut > 0 ? [`out on ${String(meshesOut)} of ${String(meshes)} nodes`] : []),
  ];
  return withRemarks(known === TargetState.TARGET_DRAINING ? 'Draining' : 'Active', remarks);
}

function withRemarks(text: string, remarks: readonly string[]): string {
  return remarks.length === 0 ? text : `${text} (${remarks.join(', ')})`;
}

function share(permille: number): string {
  return permille === 0 ? '' : `${String(permille / 10)}%`;
}

function nameOf({ hostname, nodeId }: NodeMesh): string {
  return hostname || nodeId;
}

/** "80/tcp" */
function portName({ publishedPort, protocol }: { readonly publishedPort: number; readonly protocol: PortProtocol }): string {
  return `${String(publishedPort)}/${protocolName(protocol)}`;
}
