// `service explain`: everything of one service that is not as it should be, each with its reason and the way out, and what could be better. Pure;
// costs a pass over the service's tasks, and over the nodes for each that waits.
import { type ConsideredNode, ExplainedTask, Finding, ServiceExplanation, TaskState } from '../../proto/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { takesGlobalTask } from '../constraint/index.ts';
import { InventoryFeed } from '../leader/inventory-feed.ts';
import type { SlotTasks } from '../orchestrator/slot.ts';
import type { Inventory } from '../scheduler/inventory.ts';
import type { StateView } from '../state/index.ts';
import { adviceFor } from './advice.ts';
import { type Candidate, type Consideration, considerNodes } from './considered-nodes.ts';
import { nodeTenants } from './node-tenants.ts';
import { portFindings } from './port-findings.ts';
import { jobFindings, jobSummary } from './job-findings.ts';
import { preemptionFinding } from './preemption-finding.ts';
import { pauseFindings, rolloutFindings } from './rollout-findings.ts';
import { servedSlots } from './served-slots.ts';
import { sceneOf, type ServiceScene, slotName, isServiceMode } from './service-scene.ts';
import { NO_NODE, OUTDATED, taskFinding } from './task-finding.ts';

const MAX_TASKS = 100;

/**
 * For a service that is there; `clock` gives the wall time that what is left is counted from. `inventoryOf` gives that of `view`; where there is
 * none it is built, by a pass over all tasks.
 */
export function explainService(
  view: StateView,
  serviceId: string,
  clock: Clock,
  inventoryOf: () => Inventory = () => new InventoryFeed(view, clock).inventory,
): ServiceExplanation {
  const scene = sceneOf(view, serviceId, clock.wallMs());
  const service = view.get('services', serviceId)?.value;
  if (scene === undefined) return ServiceExplanation.create({ serviceId, serviceName: service?.name ?? '', revision: view.revision });
  const inventory = onlyOnce(inventoryOf);
  const considered = nodeConsideration(scene, inventory);
  const tasks: ExplainedTask[] = [];
  for (const slot of scene.filled) {
    const finding = taskFinding(scene, slot);
    if (finding !== undefined && finding.kind !== OUTDATED) addTask(scene, tasks, slot, finding, considered);
  }
  tasks.push(...missingTasks(scene, considered));
  tasks.sort((one, other) => urgency(other) - urgency(one));
  const rollout = [...pauseFindings(scene), ...rolloutFindings(scene), ...jobFindings(scene)];
  const ports = portFindings(scene);
  const served = servedSlots(scene);
  return ServiceExplanation.create({
    serviceId,
    serviceName: scene.name,
    revision: view.revision,
    desired: desiredOf(scene),
    running: served.running,
    earlier: served.earlier,
    allRight: tasks.length === 0 && rollout.length === 0 && ports.length === 0,
    tasks: tasks.slice(0, MAX_TASKS),
    moreTasks: Math.max(0, tasks.length - MAX_TASKS),
    rollout,
    ports,
    job: jobSummary(scene),
    advice: adviceFor(scene, inventory(), tasks.length === 0 && rollout.length === 0, clock.nowMs()),
  });
}

interface Considered extends Consideration {
  readonly preemption: Finding | undefined;
}

type Consider = (candidate: Candidate) => Considered;

function onlyOnce(inventoryOf: () => Inventory): () => Inventory {
  let inventory: Inventory | undefined;
  return () => (inventory ??= inventoryOf());
}

function nodeConsideration({ view, wallMs, name }: ServiceScene, inventory: () => Inventory): Consider {
  const tenants = nodeTenants(view);
  return (candidate) => ({
    ...considerNodes(inventory(), candidate, { serviceName: name, wallMs, tenants }),
    preemption: preemptionFinding(view, inventory(), candidate, name),
  });
}

/** Tasks that wait for the same are named together. */
function addTask(scene: ServiceScene, tasks: ExplainedTask[], { key, holder }: SlotTasks, finding: Finding, consider: Consider): void {
  const name = slotName(scene, key);
  if (holder === undefined) return;
  const state = holder.isWaiting ? TaskState.PENDING : (holder.status?.state ?? TaskState.ASSIGNED);
  if (finding.kind !== NO_NODE || holder.spec?.task === undefined) {
    tasks.push(ExplainedTask.create({ name, taskId: holder.row.id, state, finding }));
    return;
  }
  const isSame = (other: ExplainedTask): boolean => {
    const { specNumber, nodeId } = holder.task;
    const otherTask = scene.view.get('tasks', other.taskId)?.value;
    return (
      other.finding?.kind === NO_NODE &&
      other.finding.reason === finding.reason &&
      otherTask?.specNumber === specNumber &&
      otherTask.nodeId === nodeId
    );
  };
  const at = tasks.findIndex(isSame);
  const before = tasks[at];
  if (before !== undefined) {
    tasks[at] = { ...before, sameAsThis: [...before.sameAsThis, name] };
    return;
  }
  const { spec, task } = holder;
  const { nodes, more, preemption } = consider({
    serviceId: task.serviceId,
    spec: holder.spec.task,
    ports: spec.ports,
    nodeId: task.nodeId,
  });
  tasks.push(
    ExplainedTask.create({ name, taskId: holder.row.id, state, finding: withWayOut(finding, nodes), nodes, moreNodes: more, preemption }),
  );
}

/** The smallest change of all: the node that is nearest. */
function withWayOut(finding: Finding, nodes: readonly ConsideredNode[]): Finding {
  const [nearest] = nodes;
  if (nearest === undefined) return { ...finding, wayOut: 'start an agent on a host: `shoal agent --manager ADDRESS`' };
  if (nearest.refusals.length === 0) return { ...finding, wayOut: `${nearest.hostname} takes it now: it is about to be placed` };
  if (!nearest.canBeMadeToFit) return { ...finding, wayOut: 'no node can be made to fit by a small change: add one that does' };
  return { ...finding, wayOut: nearest.refusals.flatMap(({ change }) => (change === undefined ? [] : [change.what])).join('; and ') };
}

/** Slots that nobody fills yet; for a global service that has none, why no node qualifies. */
function missingTasks(scene: ServiceScene, consider: Consider): readonly ExplainedTask[] {
  const { spec, filled, name } = scene;
  const state = TaskState.NEW;
  if (!isServiceMode(spec.mode)) return [];
  if (scene.isGlobal) {
    if (filled.length > 0 || spec.task === undefined || desiredOf(scene) > 0) return [];
    const { nodes, more } = consider({ serviceId: scene.service.id, spec: spec.task, ports: spec.ports, nodeId: '' });
    const finding = Finding.create({ kind: NO_NODE, reason: 'no node is one that it runs on, so it runs nowhere' });
    return [ExplainedTask.create({ name, state, finding: withWayOut(finding, nodes), nodes, moreNodes: more })];
  }
  const count = Math.max(0, spec.replicas - filled.filter(({ holder }) => holder?.task.canary !== true).length);
  if (count === 0) return [];
  const finding = Finding.create({
    kind: 'not-made',
    reason: `${String(count)} of ${String(spec.replicas)} tasks have yet to be made by the leader`,
  });
  return [ExplainedTask.create({ name, state, finding })];
}

function desiredOf({ view, spec, filled, isGlobal }: ServiceScene): number {
  if (!isServiceMode(spec.mode)) return filled.length;
  if (!isGlobal) return spec.replicas;
  const nodes = new Set(filled.map(({ key }) => key));
  for (const { id, value } of view.all('nodes')) {
    if (takesGlobalTask(spec.task?.placement, value, view.get('nodeStatus', id)?.value)) nodes.add(id);
  }
  return nodes.size;
}

/** What needs somebody to act comes first. */
function urgency({ finding }: ExplainedTask): number {
  switch (finding?.kind) {
    case NO_NODE:
    case 'gave-up':
    case 'pull-failing':
    case 'prepare-failing':
      return 3;
    case 'restart-delay':
    case 'not-ready':
    case 'node-down':
      return 2;
    default:
      return 1;
  }
}
