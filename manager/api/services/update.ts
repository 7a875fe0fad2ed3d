// UpdateService: a new spec under the next number, if the version that it was made from is still the newest.
import { ShoalError } from '../../../lib/errors.ts';
import { type Canary, type Service, type ServiceChange, ServiceSpec, type UpdateServiceRequest } from '../../../proto/index.ts';
import { type Row, type StateView, TransactionBuilder } from '../../state/index.ts';
import { type Attempt, commitChange } from '../change.ts';
import { addEvent } from '../change-events.ts';
import type { ApiContext } from '../context.ts';
import { serviceByRef } from '../refs.ts';
import { withLoginOf } from '../spec-secrets.ts';
import { changeProblems, serviceSpecProblems } from '../validate/service-spec.ts';
import { constraintWarnings, idleConstraints } from './constraint-warnings.ts';
import { heldPorts } from './held-ports.ts';
import { type ResolvedSpec, resolveImage } from './image.ts';
import { changeAnswer, type StoredChange } from './change-answer.ts';
import { putSpecs } from './new-spec.ts';
import { nextSpecs } from './next-specs.ts';
import { refuseOtherOutcome } from './plan-digest.ts';
import { fillPublishedPorts } from './ports.ts';
import { numberedSpec, storedSpec } from './stored-spec.ts';

export interface ProposedUpdate extends ResolvedSpec {
  readonly id: string;
  readonly service: Service;
}

/** What would be stored: checked, its image resolved, its ports still as they are asked for. Errors as for updateService. */
export async function proposedUpdate(context: ApiContext, request: UpdateServiceRequest, signal: AbortSignal): Promise<ProposedUpdate> {
  const { state } = context;
  const { id, value: service } = serviceByRef(state, request.ref);
  if (request.spec === undefined) throw ShoalError.invalid('the request is not valid', [{ path: 'spec', message: 'is missing' }]);
  const known = storedSpec(state, id);
  const problems = [...serviceSpecProblems(request.spec), ...changeProblems(known, request.spec)];
  if (problems.length > 0) {
    problems.push(...heldPorts(state, id, request.spec.ports), ...idleConstraints(request.spec, known));
    throw ShoalError.invalid(`the new spec of service ${service.name} is not valid`, problems);
  }
  atVersion(state, id, service.name, request.version);
  const resolved = await resolveImage(context, withLoginOf(known, request.spec), known, request, signal);
  return { id, service, ...resolved, warnings: [...resolved.warnings, ...constraintWarnings(request.spec, known)] };
}

/**
 * A spec that equals the stored one changes nothing and is answered with what is there.
 * Errors: `not_found`, `invalid_argument` with every wrong field, `conflict` (version, ports, plan), and those of commitChange.
 */
export async function updateService(context: ApiContext, request: UpdateServiceRequest, signal: AbortSignal): Promise<ServiceChange> {
  const { state, clock, rng } = context;
  const { id, service, spec, warnings } = await proposedUpdate(context, request, signal);
  refuseOtherOutcome(spec, request.plannedDigest, request.canary);
  const told: string[] = [...warnings];

  const attempt = (): Attempt<StoredChange> => {
    const row = atVersion(state, id, service.name, request.version);
    const { spec: before, number } = numberedSpec(state, id);
    const builder = new TransactionBuilder();
    const after = normalized({ ...spec, ports: fillPublishedPorts(state, spec.ports, before.ports, rng) });
    const next = nextSpecs(state, row, normalized(before), after, request.canary);
    told.splice(warnings.length, Infinity, ...(next?.warnings ?? []));
    if (next === undefined) return { builder, result: { row, specNumber: number } };
    const specNumber = putSpecs({ builder, state, row, ...next, rollbackTo: 0, nowUnixMs: clock.wallMs() });
    // The leader may have ended the canary that this begins from.
    if (row.value.canary !== undefined || request.canary !== undefined)
      builder.require('serviceStatus', state.get('serviceStatus', id), id);
    const attributes = { ...changedAttributes(before, after), ...canaryAttribute(next.canary) };
    addEvent(builder, context, { type: 'service', action: 'update', objectId: id, objectName: service.name, message: '', attributes });
    return { builder, result: { row, specNumber } };
  };
  const what = { object: `service ${service.name}`, verb: 'updated', look: `shoal service inspect ${service.name}` };
  const { result, revision } = await commitChange(context, what, attempt);
  return changeAnswer(state, result, revision, told);
}

export function atVersion(state: StateView, id: string, name: string, version: number): Row<Service> {
  const row = state.get('services', id);
  if (row === undefined) throw new ShoalError('not_found', `service ${name} was removed meanwhile`);
  if (row.modRevision === version) return row;
  throw new ShoalError(
    'conflict',
    `service ${name} is at version ${row.modRevision}, the change was made from version ${version}: read it again and repeat the change`,
  );
}

/** As it will be read back, so that two specs can be compared. */
export function normalized(spec: ServiceSpec): ServiceSpec {
  return ServiceSpec.decode(ServiceSpec.encode(spec));
}

/** What people look for in the event, under Docker's names. */
function changedAttributes(before: ServiceSpec, after: ServiceSpec): Record<string, string> {
  const attributes: Record<string, string> = {};
  const note = (key: string, old: string, now: string): void => {
    if (old === now) return;
    attributes[`${key}.old`] = old;
    attributes[`${key}.new`] = now;
  };
  note('replicas', String(before.replicas), String(after.replicas));
  note('image', imageOf(before), imageOf(after));
  return attributes;
}

function canaryAttribute(canary: Canary | undefined): Record<string, string> {
  return canary === undefined ? {} : { canary: `${canary.permille / 10}%` };
}

function imageOf(spec: ServiceSpec): string {
  const container = spec.task?.container;
  return container === undefined ? '' : container.resolvedImage || container.image;
}
