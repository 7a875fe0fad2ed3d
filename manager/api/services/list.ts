// ListServices and GetService.
import { type ListServicesRequest, ServiceList, ServiceMode, type ServiceView } from '../../../proto/index.ts';
import type { StateView } from '../../state/index.ts';
import { checkAnswerSize } from '../answer-size.ts';
import { compileFilters, type FilterKeys, matchesLabel } from '../filters.ts';
import { serviceByRef } from '../refs.ts';
import { portProblemsByService, serviceView } from './service-view.ts';

const MODES: Readonly<Record<string, ServiceMode>> = {
  replicated: ServiceMode.REPLICATED,
  global: ServiceMode.GLOBAL,
  'replicated-job': ServiceMode.REPLICATED_JOB,
  'global-job': ServiceMode.GLOBAL_JOB,
};

const FILTERS: FilterKeys<ServiceView> = {
  id: { matches: (service, value) => service.id.startsWith(value) },
  name: { matches: (service, value) => service.spec?.name.includes(value) ?? false },
  label: { matches: (service, value) => matchesLabel(service.spec?.labels ?? {}, value) },
  mode: { matches: (service, value) => service.spec?.mode === MODES[value], values: Object.keys(MODES) },
};

/** Sorted by name. */
export function listServices(state: StateView, request: ListServicesRequest): ServiceList {
  const matches = compileFilters(request.filters, FILTERS);
  const problems = portProblemsByService(state);
  const services = [...state.all('services')].map((row) => serviceView(state, row, problems)).filter(matches);
  services.sort((one, other) => ((one.spec?.name ?? '') < (other.spec?.name ?? '') ? -1 : 1));
  return checkAnswerSize(ServiceList, { services, revision: state.revision }, services.length, 'services');
}

export function getService(state: StateView, ref: string): ServiceView {
  return serviceView(state, serviceByRef(state, ref));
}
