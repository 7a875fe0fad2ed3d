// CreateService: the service, its first spec, its name and its ports in one transaction.
import { ShoalError } from '../../../lib/errors.ts';
import { type CreateServiceRequest, Service, ServiceChange, type ServiceSpec, StoredSpec } from '../../../proto/index.ts';
import { keyOf, nameId, specId, type StateView, TransactionBuilder } from '../../state/index.ts';
import { type Attempt, commitChange } from '../change.ts';
import { addEvent } from '../change-events.ts';
import type { ApiContext } from '../context.ts';
import { serviceSpecProblems } from '../validate/service-spec.ts';
import { takenByOthers } from './check.ts';
import { constraintWarnings, idleConstraints } from './constraint-warnings.ts';
import { type ResolvedSpec, resolveImage } from './image.ts';
import { refuseOtherOutcome } from './plan-digest.ts';
import { claimPorts, fillPublishedPorts } from './ports.ts';
import { serviceView } from './service-view.ts';

/** What would be stored: checked, its image resolved, its ports still as they are asked for. Errors as for createService. */
export async function proposedService(context: ApiContext, request: CreateServiceRequest, signal: AbortSignal): Promise<ResolvedSpec> {
  if (request.spec === undefined) throw ShoalError.invalid('the request is not valid', [{ path: 'spec', message: 'is missing' }]);
  const problems = serviceSpecProblems(request.spec);
  if (problems.length > 0)
    throw ShoalError.invalid('the service is not valid', [
      ...problems,
      ...takenByOthers(context.state, request.spec),
      ...idleConstraints(request.spec),
    ]);
  refuseTakenName(context.state, request.spec);
  const resolved = await resolveImage(context, request.spec, undefined, request, signal);
  return { ...resolved, warnings: [...resolved.warnings, ...constraintWarnings(request.spec)] };
}

/** Errors: `invalid_argument` with every wrong field, `already_exists`, `conflict` (ports, plan), and those of commitChange. */
export async function createService(context: ApiContext, request: CreateServiceRequest, signal: AbortSignal): Promise<ServiceChange> {
  const { state, clock, rng, ids } = context;
  const { spec, warnings } = await proposedService(context, request, signal);
  const { name } = spec;
  refuseOtherOutcome(spec, request.plannedDigest);
  const id = ids.next();

  const attempt = (): Attempt<Service> => {
    refuseTakenName(state, spec);
    const builder = new TransactionBuilder();
    const ports = fillPublishedPorts(state, spec.ports, [], rng);
    const nowUnixMs = clock.wallMs();
    const service = Service.create({ id, name, labels: spec.labels, specNumber: 1, createdUnixMs: nowUnixMs, updatedUnixMs: nowUnixMs });
    const stored = StoredSpec.create({ serviceId: id, number: 1, spec: { ...spec, ports }, createdUnixMs: nowUnixMs });
    builder.put('services', id, service, undefined);
    builder.put('specs', specId(id, 1), stored, undefined);
    builder.put('byName', nameId('service', name), { objectId: id }, undefined);
    claimPorts(builder, state, id, ports, []);
    addEvent(builder, context, { type: 'service', action: 'create', objectId: id, objectName: name, message: '', attributes: {} });
    return { builder, result: service };
  };
  const what = { object: `service ${name}`, verb: 'created', look: `shoal service inspect ${name}` };
  const { result, revision } = await commitChange(context, what, attempt);
  const row = state.get('services', id) ?? {
    id,
    key: keyOf('services', id),
    value: result,
    createRevision: revision,
    modRevision: revision,
  };
  return ServiceChange.create({ service: serviceView(state, row), revision, warnings, specNumber: result.specNumber });
}

/** Says at once what else is taken; ports alone are claimPorts' to refuse. */
function refuseTakenName(state: StateView, spec: ServiceSpec): void {
  if (state.get('byName', nameId('service', spec.name)) === undefined) return;
  const fields = takenByOthers(state, spec);
  throw new ShoalError('already_exists', fields.map(({ message }) => message).join('; '), { fields });
}
