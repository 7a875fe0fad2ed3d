// Whether a task that fits nowhere would fit in the place of the one that it is to replace. Asked of the very filters that placed neither, so that
// nothing is stopped for a task that could not start there anyway.
import type { ServiceSpec } from '../../proto/index.ts';
import { refusal } from './filters.ts';
import { GroupPicker } from './group-picker.ts';
import type { Inventory } from './inventory.ts';
import { shapeOf } from './shape.ts';

/** `oldTaskId`: in the inventory; one that is not there takes no place that could become free. The inventory is left as it was. */
export function fitsInPlaceOf(inventory: Inventory, oldTaskId: string, spec: ServiceSpec): boolean {
  const old = inventory.demandOf(oldTaskId);
  if (old === undefined || spec.task === undefined) return false;
  inventory.removeTask(oldTaskId);
  const entry = inventory.entryOf(old.nodeId);
  const copies = entry === undefined ? 0 : (inventory.nodesOfService(old.serviceId)?.get(entry) ?? 0);
  const fits = entry !== undefined && refusal(shapeOf(spec.task, spec.ports), entry, copies) === undefined;
  inventory.putTask(old);
  return fits;
}

export interface Successor {
  readonly replaces: string;
  readonly serviceId: string;
  readonly specNumber: number;
  readonly spec: ServiceSpec;
}

/** Whether any node takes it as things are, or would in the place of the one that it is to replace. The inventory is left as it was. */
export function findsPlace(inventory: Inventory, { replaces, serviceId, specNumber, spec }: Successor, nowMs: number): boolean {
  if (fitsInPlaceOf(inventory, replaces, spec)) return true;
  if (spec.task === undefined) return false;
  const picker = new GroupPicker(inventory, shapeOf(spec.task, spec.ports), { serviceId, specNumber }, nowMs);
  const entry = picker.next();
  picker.end();
  return entry !== undefined;
}
