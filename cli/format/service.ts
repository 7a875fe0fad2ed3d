// How `service ls` shows a service.
import { ServiceMode, type ServiceView } from '../../proto/index.ts';
import { mapOf } from './go-template/index.ts';
import { formatPorts } from './ports.ts';
import type { ResourceFormat } from './resource.ts';
import { shortId, withoutDigest } from './text.ts';

export const serviceFormat: ResourceFormat<ServiceView> = {
  headers: { ID: 'ID', Name: 'NAME', Mode: 'MODE', Replicas: 'REPLICAS', Image: 'IMAGE', Ports: 'PORTS', Labels: 'LABELS' },
  columns: ['ID', 'Name', 'Mode', 'Replicas', 'Image', 'Ports'],
  id: (service, { truncate }) => (truncate ? shortId(service.id) : service.id),
  fields: (service, { truncate }) => ({
    ID: truncate ? shortId(service.id) : service.id,
    Name: service.spec?.name,
    Mode: modeName(service.spec?.mode ?? ServiceMode.REPLICATED),
    Replicas: replicasOf(service),
    Image: withoutDigest(service.spec?.task?.container?.image ?? ''),
    Ports: formatPorts(service.spec?.ports ?? []),
    Labels: mapOf(service.spec?.labels ?? {}),
  }),
};

export function modeName(mode: ServiceMode): string {
  switch (mode) {
    case ServiceMode.REPLICATED:
      return 'replicated';
    case ServiceMode.GLOBAL:
      return 'global';
    case ServiceMode.REPLICATED_JOB:
      return 'replicated job';
    case ServiceMode.GLOBAL_JOB:
      return 'global job';
  }
}

function replicasOf(service: ServiceView): string {
  const count = `${String(service.runningTasks)}/${String(service.desiredTasks)}`;
  const maxPerNode = service.spec?.task?.placement?.maxReplicasPerNode ?? 0;
  return maxPerNode === 0 ? count : `${count} (max ${String(maxPerNode)} per node)`;
}
