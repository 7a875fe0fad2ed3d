// `service explain --format json` and templates: field names as elsewhere in the CLI's JSON.
import {
  type ConsideredNode,
  enumName,
  type ExplainedTask,
  type Finding,
  type ServiceExplanation,
  type SmallestChange,
  TaskState,
} from '../../proto/index.ts';
import type { Struct } from '../format/go-template/index.ts';
import { protocolName } from '../format/ports.ts';
import { timestamp } from '../format/text.ts';

export function explanationStruct(explanation: ServiceExplanation): Struct {
  return {
    ID: explanation.serviceId,
    Name: explanation.serviceName,
    Revision: explanation.revision,
    AllRight: explanation.allRight,
    Running: explanation.running,
    Earlier: explanation.earlier,
    Desired: explanation.desired,
    Job: explanation.job,
    Rollout: explanation.rollout.map(findingStruct),
    Tasks: explanation.tasks.map(taskStruct),
    MoreTasks: explanation.moreTasks,
    Ports: explanation.ports.map(findingStruct),
    Advice: explanation.advice.map(findingStruct),
  };
}

function taskStruct({ name, taskId, state, finding, nodes, moreNodes, sameAsThis, preemption }: ExplainedTask): Struct {
  return {
    Name: name,
    ID: taskId,
    State: enumName(TaskState, state).toLowerCase(),
    ...(finding && findingStruct(finding)),
    Preemption: preemption && findingStruct(preemption),
    Nodes: nodes.map(nodeStruct),
    MoreNodes: moreNodes,
    SameAsThis: sameAsThis,
  };
}

function findingStruct({ kind, reason, wayOut, sinceUnixMs, nodeId, nodeHostname, taskId }: Finding): Struct {
  return {
    Kind: kind,
    Reason: reason,
    WayOut: wayOut,
    Since: sinceUnixMs === 0 ? undefined : timestamp(sinceUnixMs),
    NodeID: nodeId || undefined,
    Hostname: nodeHostname || undefined,
    TaskID: taskId || undefined,
  };
}

function nodeStruct({ nodeId, hostname, refusals, canBeMadeToFit }: ConsideredNode): Struct {
  return {
    ID: nodeId,
    Hostname: hostname,
    CanBeMadeToFit: canBeMadeToFit,
    Refusals: refusals.map(({ filter, reason, change }) => ({ Filter: filter, Reason: reason, Change: change && changeStruct(change) })),
  };
}

function changeStruct(change: SmallestChange): Struct {
  const { heldBy, protocol, port } = change;
  const isAmount = change.kind === 'free-resources';
  return {
    Kind: change.kind,
    What: change.what,
    Command: change.command || undefined,
    MemoryBytes: change.memoryBytes || undefined,
    NanoCPUs: change.nanoCpus || undefined,
    FittingMemoryBytes: isAmount ? change.fittingMemoryBytes : undefined,
    FittingNanoCPUs: isAmount ? change.fittingNanoCpus : undefined,
    GenericKind: change.genericKind || undefined,
    GenericCount: change.genericCount || undefined,
    FittingGenericCount: change.genericKind === '' ? undefined : change.fittingGenericCount,
    Label: change.label || undefined,
    LabelValue: change.kind === 'set-label' ? change.labelValue : undefined,
    Constraint: change.constraint || undefined,
    Port: port === 0 ? undefined : `${String(port)}/${protocolName(protocol)}`,
    HeldBy: heldBy.length === 0 ? undefined : heldBy,
    MaxReplicasPerNode: change.maxReplicasPerNode || undefined,
  };
}
