// What explanations of one service are made from: its active spec and its slots, as the leader sees them.
import { JobState, type JobStatus, ServiceMode, type ServiceSpec, type ServiceStatus, UpdateState } from '../../proto/index.ts';
import { placementProblem } from '../constraint/index.ts';
import { readAcks, type MeshAcks } from '../orchestrator/drain.ts';
import { isDone } from '../orchestrator/job-view.ts';
import { isOpen } from '../orchestrator/rollout.ts';
import { taskDigest } from '../orchestrator/spec-rules.ts';
import { besideSlotKey, slotsOf, type SlotTasks } from '../orchestrator/slot.ts';
import type { TaskInfo } from '../orchestrator/task-info.ts';
import { activeSpecOf, canaryOf, type CanaryState, type Row, specOf, type StateView } from '../state/index.ts';
import type { Service } from '../../proto/index.ts';
import { nodeName } from './node-tenants.ts';

export interface ServiceScene {
  readonly view: StateView;
  readonly wallMs: number;
  readonly service: Row<Service>;
  readonly name: string;
  readonly spec: ServiceSpec;
  readonly specNumber: number;
  readonly status: ServiceStatus | undefined;
  /** With a holder, sorted. */
  readonly filled: readonly SlotTasks[];
  readonly isGlobal: boolean;
  readonly isUpdating: boolean;
  readonly canary: CanaryState | undefined;
  /** Undefined: nobody leads. */
  readonly leaderSince: number | undefined;
  acks(): MeshAcks;
}

/** Undefined where the service, or its spec, is not there. */
export function sceneOf(view: StateView, serviceId: string, wallMs: number): ServiceScene | undefined {
  const service = view.get('services', serviceId);
  const active = activeSpecOf(view, serviceId);
  if (service === undefined || active === undefined) return undefined;
  const status = view.get('serviceStatus', serviceId)?.value;
  const { spec } = active;
  const slots = [...slotsOf(view, serviceId).values()];
  const filled = slots.filter((slot) => slot.holder !== undefined && (isServiceMode(spec.mode) || isUnderWay(status?.job, slot)));
  const nameKey = ({ key }: SlotTasks): string =>
    /^\d+~?$/.test(placeOf(key)) ? placeOf(key).padStart(10, '0') : nodeName(view, placeOf(key));
  filled.sort((one, other) => (nameKey(one) < nameKey(other) ? -1 : 1));
  const update = status?.update?.state;
  let acks: MeshAcks | undefined;
  return {
    ...{ view, wallMs, service, spec, status, filled },
    specNumber: active.number,
    name: service.value.name,
    isGlobal: spec.mode === ServiceMode.GLOBAL || spec.mode === ServiceMode.GLOBAL_JOB,
    isUpdating: update === UpdateState.UPDATING || update === UpdateState.ROLLBACK_STARTED,
    canary: canaryOf(service.value, status),
    leaderSince: view.get('leader', '')?.createRevision,
    acks: () => (acks ??= readAcks(view)),
  };
}

/** It runs what the active spec says, under whatever number it was made. */
export function isClean({ specNumber, spec, canary, view }: ServiceScene, info: TaskInfo): boolean {
  const trial = info.task.canary && canary !== undefined ? specOf(view, info.task.serviceId, canary.specNumber) : undefined;
  if (trial !== undefined) return info.spec !== undefined && taskDigest(info.spec) === taskDigest(trial);
  if (info.task.specNumber === specNumber) return true;
  return info.spec !== undefined && taskDigest(info.spec) === taskDigest(spec);
}

/** It is of an earlier version, or where the active one no longer allows it, and an update is to change that. */
export function isOutdated(scene: ServiceScene, info: TaskInfo): boolean {
  if (!isClean(scene, info)) return true;
  const { node, nodeStatus, spec } = info;
  if (scene.isGlobal || !isOpen(scene.status?.update?.state) || node === undefined) return false;
  const isAllowed = (by: ServiceSpec | undefined): boolean => placementProblem(by?.task?.placement, node, nodeStatus) === undefined;
  return isAllowed(spec) && !isAllowed(scene.spec);
}

/** "web.3"; of a global service "web.<hostname>". */
export function slotName({ view, name }: ServiceScene, key: string): string {
  const beside = besideSlotKey(key);
  if (beside !== undefined) return `${name}.${beside} (canary)`;
  return `${name}.${isNumber(placeOf(key)) ? placeOf(key) : nodeName(view, placeOf(key))}`;
}

/** A slot's key without the iteration that it begins with for a job: a number, or a node's id. */
export function placeOf(key: string): string {
  return key.slice(key.indexOf('.') + 1);
}

function isNumber(place: string): boolean {
  return /^\d+$/.test(place);
}

export function isServiceMode(mode: ServiceMode): boolean {
  return mode === ServiceMode.REPLICATED || mode === ServiceMode.GLOBAL;
}

/** Of an iteration that runs, and not complete. */
function isUnderWay(job: JobStatus | undefined, slot: SlotTasks): boolean {
  const iteration = job?.iterations.find(({ number }) => number === slot.holder?.task.jobIteration);
  return iteration?.state === JobState.JOB_RUNNING && !isDone(slot);
}
