// CheckService: all that would be refused or come to nothing, without a change. For clients that found something wrong themselves and want to name everything
// at once.
import { type FieldProblem, ShoalError } from '../../../lib/errors.ts';
import { type CheckServiceRequest, ServiceCheck, type ServiceSpec } from '../../../proto/index.ts';
import { nameId, type StateView } from '../../state/index.ts';
import { serviceByRef } from '../refs.ts';
import { changeProblems, serviceSpecProblems } from '../validate/service-spec.ts';
import { idleConstraints } from './constraint-warnings.ts';
import { heldPorts } from './held-ports.ts';
import { storedSpec } from './stored-spec.ts';

/** Errors: `not_found` where `ref` names no service, `invalid_argument` without a spec. */
export function checkService(state: StateView, { ref, spec }: CheckServiceRequest): ServiceCheck {
  if (spec === undefined) throw ShoalError.invalid('the request is not valid', [{ path: 'spec', message: 'is missing' }]);
  if (ref === '')
    return ServiceCheck.create({ problems: [...serviceSpecProblems(spec), ...takenByOthers(state, spec), ...idleConstraints(spec)] });
  const { id } = serviceByRef(state, ref);
  const before = storedSpec(state, id);
  const own = [...serviceSpecProblems(spec), ...changeProblems(before, spec)];
  return ServiceCheck.create({ problems: [...own, ...heldPorts(state, id, spec.ports), ...idleConstraints(spec, before)] });
}

/** What other services have of what a new one wants: its name, its ports. */
export function takenByOthers(state: StateView, spec: ServiceSpec): FieldProblem[] {
  const holder = state.get('byName', nameId('service', spec.name))?.value.objectId;
  const ports = heldPorts(state, '', spec.ports);
  if (holder === undefined) return ports;
  const message = `the name ${spec.name} is taken by service ${holder}: choose another, or update that one`;
  return [{ path: 'name', message }, ...ports];
}
