// How `service diff` shows one setting that differs.
import type { SpecChange } from '../service/spec/spec-changes.ts';
import type { ResourceFormat } from './resource.ts';

const NOTHING = '-';

export const specChangeFormat: ResourceFormat<SpecChange> = {
  headers: { Flag: 'FLAG', Path: 'FIELD', Before: 'BEFORE', After: 'AFTER' },
  columns: ['Flag', 'Before', 'After'],
  id: ({ flag }) => flag,
  fields: ({ flag, path, before, after }) => ({ Flag: flag, Path: path, Before: before, After: after }),
  inTable: (fields) => ({ ...fields, Before: fields['Before'] ?? NOTHING, After: fields['After'] ?? NOTHING }),
};
