// How `service ls` shows a service.
import { type CanaryView, ServiceMode, type ServiceView } from '../../proto/index.ts';
import { shareText } from './canary.ts';
import { mapOf } from './go-template/index.ts';
import { formatPorts } from './ports.ts';
import type { ResourceFormat } from './resource.ts';
import { humanDuration, shortId, timestamp, withoutDigest } from './text.ts';

export const serviceFormat: ResourceFormat<ServiceView> = {
  headers: {
    ID: 'ID',
    Name: 'NAME',
    Mode: 'MODE',
    Replicas: 'REPLICAS',
    Image: 'IMAGE',
    Ports: 'PORTS',
    Labels: 'LABELS',
    NextRun: 'NEXT RUN',
  },
  columns: ['ID', 'Name', 'Mode', 'Replicas', 'Image', 'Ports'],
  id: (service, { truncate }) => (truncate ? shortId(service.id) : service.id),
  fields: (service, { truncate, nowUnixMs }) => ({
    ID: truncate ? shortId(service.id) : service.id,
    Name: service.spec?.name,
    Mode: modeName(service.spec?.mode ?? ServiceMode.REPLICATED),
    Replicas: replicasOf(service, nowUnixMs),
    Image: withoutDigest(service.spec?.task?.container?.image ?? ''),
    Ports: formatPorts(service.spec?.ports ?? []),
    Labels: mapOf(service.spec?.labels ?? {}),
    NextRun: service.nextRunUnixMs === 0 ? '' : timestamp(service.nextRunUnixMs),
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

function replicasOf(service: ServiceView, nowUnixMs: number): string {
  const count = `${String(service.runningTasks)}/${String(service.desiredTasks)}`;
  if (isJobMode(service.spec?.mode)) return `${count} (${[completionsOf(service), ...scheduleOf(service, nowUnixMs)].join(', ')})`;
  const notes = [...(service.canary === undefined ? [] : [canaryNote(service.canary)]), ...(service.pause === undefined ? [] : ['paused'])];
  const maxPerNode = service.spec?.task?.placement?.maxReplicasPerNode ?? 0;
  if (maxPerNode > 0) notes.push(`max ${String(maxPerNode)} per node`);
  return notes.length === 0 ? count : `${count} (${notes.join(', ')})`;
}

function canaryNote({ permille, up, tasks, paused }: CanaryView): string {
  return paused === '' ? `canary ${shareText(permille)}: ${String(up)}/${String(tasks)}` : 'canary paused';
}

export function isJobMode(mode: ServiceMode | undefined): boolean {
  return mode === ServiceMode.REPLICATED_JOB || mode === ServiceMode.GLOBAL_JOB;
}

function completionsOf({ completedTasks, totalTasks }: ServiceView): string {
  return `${String(completedTasks)}/${String(totalTasks)} completed`;
}

function scheduleOf({ spec, nextRunUnixMs }: ServiceView, nowUnixMs: number): readonly string[] {
  if (spec?.job?.schedule?.paused === true) return ['paused'];
  return nextRunUnixMs === 0 ? [] : [`next run in ${humanDuration(Math.max(0, nextRunUnixMs - nowUnixMs)).toLowerCase()}`];
}
