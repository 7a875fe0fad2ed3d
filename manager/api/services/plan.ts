// PlanService: a create, update, rollback or rebalancing made as it would be, then played through on a copy of the state. Nothing is written.
import { isDeepStrictEqual } from 'node:util';
import { sleep } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import {
  type PlanServiceRequest,
  type RebalanceServiceRequest,
  type RollbackServiceRequest,
  Service,
  ServicePlan,
  type ServiceSpec,
  StoredSpec,
  type UpdateServiceRequest,
  type CreateServiceRequest,
} from '../../../proto/index.ts';
import { displacedTasks, plannedTasks, Rehearsal, type ScratchWrite } from '../../explain/index.ts';
import { specId, type StateView, TransactionBuilder } from '../../state/index.ts';
import { checkAnswerSize } from '../answer-size.ts';
import type { ApiContext } from '../context.ts';
import { serviceByRef } from '../refs.ts';
import { withoutLogin } from '../spec-secrets.ts';
import { canaryView } from './canary-view.ts';
import { proposedService } from './create.ts';
import { planDigest } from './plan-digest.ts';
import { claimPorts, fillPublishedPorts } from './ports.ts';
import { nextSpecs } from './next-specs.ts';
import { newWish } from './rebalance.ts';
import { claimedPorts } from './new-spec.ts';
import { proposedRollback } from './rollback.ts';
import { storedSpec } from './stored-spec.ts';
import { atVersion, normalized, proposedUpdate } from './update.ts';

/** Longer than that nobody waits for a plan; the rest goes on by the same rules. */
const BUDGET_MS = 5000;
/** Heartbeats and watches come first. */
const YIELD_MS = 20;
const MAX_TASKS = 1000;

/** A change as it would be stored. */
interface Proposal {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  readonly before: ServiceSpec | undefined;
  /** With free ports chosen; those of the change itself may be others. */
  readonly after: ServiceSpec;
  readonly digest: string;
  readonly warnings: readonly string[];
  /** Empty: nothing would change. */
  readonly rows: readonly ScratchWrite[];
}

/** Errors: those that the change itself would meet. */
export async function planService(context: ApiContext, { change }: PlanServiceRequest, signal: AbortSignal): Promise<ServicePlan> {
  if (change === undefined)
    throw ShoalError.invalid('the request is not valid', [
      { path: 'change', message: 'is missing: create, update, rollback or rebalance' },
    ]);
  const proposal = await propose(context, change, signal);
  const { id, name, version, before, after, digest, warnings, rows } = proposal;
  const { revision } = context.state;
  const serviceId = before === undefined ? '' : id;
  const known = { serviceId, serviceName: name, version, revision, digest, warnings };
  const shown = { before: before && withoutLogin(before), after: withoutLogin(after) };
  if (rows.length === 0) return ServicePlan.create({ ...known, ...shown, fits: true });
  const rehearsal = new Rehearsal(context.state, id, rows, context);
  await play(context, rehearsal, signal);
  const isCut = !rehearsal.isOver;
  const { tasks, unchanged, fits } = plannedTasks(rehearsal.before, rehearsal.state, id, after, isCut);
  const displaced = displacedTasks(rehearsal);
  const plan = ServicePlan.create({
    ...{ ...known, ...shown, fits, isCut },
    // Why its node does not keep a task is said for changes of the service.
    tasks: tasks.slice(0, MAX_TASKS).map((task) => (change.case === 'rebalance' ? { ...task, reason: '' } : task)),
    moreTasks: Math.max(0, tasks.length - MAX_TASKS),
    unchangedTasks: unchanged,
    displaced: displaced.slice(0, MAX_TASKS),
    moreDisplaced: Math.max(0, displaced.length - MAX_TASKS),
    ...canaryOutcome(context.state, rehearsal.state, id),
  });
  return checkAnswerSize(ServicePlan, plan, plan.tasks.length + plan.displaced.length, 'tasks');
}

function canaryOutcome(before: StateView, after: StateView, id: string): Pick<ServicePlan, 'canary' | 'canaryChanges'> {
  const [was, is] = [before, after].map((state) => state.get('services', id)).map((row) => row?.value.canary);
  const row = after.get('services', id);
  return { canary: row && canaryView(after, row), canaryChanges: !isDeepStrictEqual(was, is) };
}

async function play({ clock }: ApiContext, rehearsal: Rehearsal, signal: AbortSignal): Promise<void> {
  const startMs = clock.nowMs();
  let sliceMs = startMs;
  while (rehearsal.step()) {
    const nowMs = clock.nowMs();
    if (nowMs - startMs >= BUDGET_MS) return;
    if (nowMs - sliceMs < YIELD_MS) continue;
    await sleep(clock, 0, signal);
    sliceMs = clock.nowMs();
  }
}

type PlannedChange = NonNullable<PlanServiceRequest['change']>;

function propose(context: ApiContext, change: PlannedChange, signal: AbortSignal): Promise<Proposal> | Proposal {
  switch (change.case) {
    case 'create':
      return proposeCreate(context, change.value, signal);
    case 'update':
      return proposeUpdate(context, change.value, signal);
    case 'rebalance':
      return proposeRebalance(context, change.value);
    case 'rollback':
      return proposeRollback(context, change.value);
  }
}

/** The service stays as it is; its tasks move. */
function proposeRebalance({ state, clock }: ApiContext, { ref }: RebalanceServiceRequest): Proposal {
  const row = serviceByRef(state, ref);
  const { id, value: service, modRevision: version } = row;
  const spec = storedSpec(state, id);
  const wish = newWish(state, row, clock.wallMs());
  const rows: readonly ScratchWrite[] = [{ table: 'rebalance', id, value: wish }];
  return { id, name: service.name, version, before: spec, after: spec, digest: '', warnings: [], rows };
}

function proposeRollback({ state, clock }: ApiContext, request: RollbackServiceRequest): Proposal {
  const known = serviceByRef(state, request.ref);
  const { id, value: service } = known;
  const version = request.version === 0 ? known.modRevision : request.version;
  const row = atVersion(state, id, service.name, version);
  const { target, isNothing, warnings } = proposedRollback(state, row, request);
  const { spec: after, number: rollbackTo } = target;
  claimPorts(new TransactionBuilder(), state, id, after.ports, claimedPorts(state, id));
  const nowUnixMs = clock.wallMs();
  const specNumber = service.specNumber + 1;
  const next: Service = { ...service, labels: after.labels, canary: undefined, specNumber, updatedUnixMs: nowUnixMs };
  const rows = isNothing ? [] : rowsOf(next, after, nowUnixMs, rollbackTo);
  return { id, name: service.name, version, before: storedSpec(state, id), after, digest: planDigest(after), warnings, rows };
}

async function proposeCreate(context: ApiContext, request: CreateServiceRequest, signal: AbortSignal): Promise<Proposal> {
  const { state, ids, rng, clock } = context;
  const { spec, warnings } = await proposedService(context, request, signal);
  const id = ids.next();
  const after = { ...spec, ports: fillPublishedPorts(state, spec.ports, [], rng) };
  claimPorts(new TransactionBuilder(), state, id, after.ports, []);
  const nowUnixMs = clock.wallMs();
  const service = Service.create({
    id,
    name: spec.name,
    labels: spec.labels,
    specNumber: 1,
    createdUnixMs: nowUnixMs,
    updatedUnixMs: nowUnixMs,
  });
  const rows = rowsOf(service, after, nowUnixMs);
  return { id, name: spec.name, version: 0, before: undefined, after, digest: planDigest(spec), warnings, rows };
}

async function proposeUpdate(context: ApiContext, request: UpdateServiceRequest, signal: AbortSignal): Promise<Proposal> {
  const { state, rng, clock } = context;
  const { id, service, spec, warnings } = await proposedUpdate(context, request, signal);
  // Asking a registry takes its time.
  const known = atVersion(state, id, service.name, request.version);
  const { value: row } = known;
  const before = storedSpec(state, id);
  const after = normalized({ ...spec, ports: fillPublishedPorts(state, spec.ports, before.ports, rng) });
  claimPorts(new TransactionBuilder(), state, id, after.ports, before.ports);
  const nowUnixMs = clock.wallMs();
  const next = nextSpecs(state, known, normalized(before), after, request.canary);
  const rows: ScratchWrite[] = [];
  if (next !== undefined) {
    // It is played through up to where it waits.
    const canary = next.canary && { ...next.canary, promoteAfterMs: 0 };
    const { length } = next.specs;
    const value = { ...row, labels: after.labels, canary, specNumber: row.specNumber + length, updatedUnixMs: nowUnixMs };
    rows.push({ table: 'services', id, value });
    next.specs.forEach((each, index) => rows.push(specRow(id, row.specNumber + 1 + index, each, nowUnixMs)));
  }
  const told = [...warnings, ...(next?.warnings ?? [])];
  const digest = planDigest(spec, request.canary);
  return { id, name: service.name, version: request.version, before, after, digest, warnings: told, rows };
}

function rowsOf(service: Service, spec: ServiceSpec, createdUnixMs: number, rollbackTo = 0): readonly ScratchWrite[] {
  const { id, specNumber } = service;
  return [{ table: 'services', id, value: service }, specRow(id, specNumber, spec, createdUnixMs, rollbackTo)];
}

function specRow(serviceId: string, number: number, spec: ServiceSpec, createdUnixMs: number, rollbackTo = 0): ScratchWrite {
  const value = StoredSpec.create({ serviceId, number, spec, createdUnixMs, rollbackTo });
  return { table: 'specs', id: specId(serviceId, number), value };
}
