// How `service history` shows one spec.
import type { ServiceSpecEntry } from '../../proto/index.ts';
import type { ResourceFormat } from './resource.ts';
import { ago, timestamp, withoutDigest } from './text.ts';

export const specHistoryFormat: ResourceFormat<ServiceSpecEntry> = {
  headers: {
    Number: 'NUMBER',
    Status: 'STATUS',
    By: 'BY',
    Created: 'CREATED',
    CreatedAt: 'CREATED AT',
    Image: 'IMAGE',
    Replicas: 'REPLICAS',
  },
  columns: ['Number', 'Status', 'By', 'Created', 'Image', 'Replicas'],
  id: ({ number }) => String(number),
  fields: (entry, { nowUnixMs }) => ({
    Number: entry.number,
    Status: statusOf(entry),
    By: byOf(entry),
    Created: ago(entry.createdUnixMs, nowUnixMs),
    CreatedAt: timestamp(entry.createdUnixMs),
    Image: withoutDigest(entry.image),
    Replicas: entry.replicas,
  }),
};

/** What tasks are brought to; what a rollback goes to; what failed, and was left by itself. */
function statusOf({ active, previous, rolledBack, canary }: ServiceSpecEntry): string {
  if (canary) return 'canary';
  if (active) return 'active';
  if (previous) return 'previous';
  return rolledBack ? 'rolled back' : '';
}

function byOf({ number, rollbackTo }: ServiceSpecEntry): string {
  if (rollbackTo > 0) return `rollback to ${String(rollbackTo)}`;
  return number === 1 ? 'create' : 'update';
}
