// `service inspect`: the JSON under Docker's field names.
import {
  type CanaryView,
  enumName,
  RebalanceState,
  type RebalanceStatus,
  type ServiceView,
  UpdateState,
  type UpdateStatus,
} from '../../proto/index.ts';
import type { Struct } from '../format/go-template/index.ts';
import { protocolName } from '../format/ports.ts';
import { isJobMode } from '../format/service.ts';
import { timestamp } from '../format/text.ts';
import { jobStatusStruct } from './job.ts';
import { portStruct, serviceSpecStruct } from './service-spec.ts';

export function serviceStruct(service: ServiceView): Struct {
  const { spec, previousSpec, status, portProblems, notReady, canary, pause } = service;
  const update = status?.update;
  const ports = (spec?.ports ?? []).map(portStruct);
  return {
    ID: service.id,
    Version: { Index: service.version },
    CreatedAt: timestamp(service.createdUnixMs),
    UpdatedAt: timestamp(service.updatedUnixMs),
    Spec: spec === undefined ? undefined : serviceSpecStruct(spec),
    PreviousSpec: previousSpec === undefined ? undefined : serviceSpecStruct(previousSpec),
    Endpoint: { Spec: { Ports: ports }, Ports: ports },
    UpdateStatus: update === undefined || update.state === UpdateState.UPDATE_NONE ? undefined : updateStatusStruct(update),
    Canary: canary === undefined ? undefined : canaryStruct(canary),
    Pause: pause === undefined ? undefined : { StartedAt: timestamp(pause.startedUnixMs), LongestMs: pause.maxMs },
    RebalanceStatus: status?.rebalance === undefined ? undefined : rebalanceStatusStruct(status.rebalance),
    ServiceStatus: {
      RunningTasks: service.runningTasks,
      DesiredTasks: service.desiredTasks,
      CompletedTasks: isJobMode(spec?.mode) ? service.completedTasks : undefined,
    },
    JobStatus: jobStatusStruct(service),
    NotReady:
      notReady.length === 0
        ? undefined
        : notReady.map(({ taskId, taskName, nodeHostname, readiness }) => ({
            TaskID: taskId,
            Task: taskName,
            Hostname: nodeHostname,
            Reason: readiness?.reason,
            Since: readiness === undefined ? undefined : timestamp(readiness.sinceUnixMs),
          })),
    PortProblems:
      portProblems.length === 0
        ? undefined
        : portProblems.map(({ nodeId, hostname, problem }) => ({
            NodeID: nodeId,
            Hostname: hostname,
            PublishedPort: problem?.publishedPort,
            Protocol: problem === undefined ? undefined : protocolName(problem.protocol),
            Message: problem?.message,
          })),
  };
}

function updateStatusStruct(update: UpdateStatus): Struct {
  return {
    State: updateStateName(update.state),
    StartedAt: timestamp(update.startedUnixMs),
    CompletedAt: update.completedUnixMs === 0 ? undefined : timestamp(update.completedUnixMs),
    Message: update.message || undefined,
  };
}

function canaryStruct(canary: CanaryView): Struct {
  const { specNumber, baseSpecNumber, permille, promoteAfterMs, tasks, up, paused, image } = canary;
  return {
    Spec: specNumber,
    BaseSpec: baseSpecNumber,
    Image: image,
    Share: permille / 1000,
    PromoteAfterMs: promoteAfterMs || undefined,
    Tasks: tasks,
    RunningTasks: up,
    Paused: paused || undefined,
  };
}

function rebalanceStatusStruct({ state, automatic, moved, startedUnixMs, completedUnixMs, message }: RebalanceStatus): Struct {
  return {
    State: rebalanceStateName(state),
    Automatic: automatic,
    Moved: moved,
    StartedAt: timestamp(startedUnixMs),
    CompletedAt: completedUnixMs === 0 ? undefined : timestamp(completedUnixMs),
    Message: message || undefined,
  };
}

/** "rebalancing", "completed", "stopped", "cancelled" */
export function rebalanceStateName(state: RebalanceState): string {
  return enumName(RebalanceState, state).replace('REBALANCE_', '').toLowerCase();
}

/** Docker's words: "updating", "paused", "completed", "rollback_started", ... */
export function updateStateName(state: UpdateState): string {
  return enumName(UpdateState, state).replace('UPDATE_', '').toLowerCase();
}
