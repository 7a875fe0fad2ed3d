// CPU and memory that a task reserves and may use.
import type { GenericResource, Resources } from '../../../proto/index.ts';
import { checkCount, checkListLength, type Report } from './report.ts';

const NANOS_PER_CPU = 1e9;
/** Docker's own lower bounds. */
const MIN_NANO_CPUS = 1e6;
const MIN_MEMORY_BYTES = 4 * 1024 ** 2;
/** Beyond any machine: such a number is a mistake in the unit. */
const MAX_CPUS = 4096;
const MAX_MEMORY_BYTES = 64 * 1024 ** 4;
/** The kernel's PID_MAX_LIMIT. */
const MAX_PIDS = 4 * 1024 ** 2;

export function checkResources(reservations: Resources | undefined, limits: Resources | undefined, report: Report): void {
  if (reservations !== undefined) checkOne('task.reservations', { ...reservations, pids: 0 }, report);
  if (limits !== undefined) checkOne('task.limits', limits, report);
  if (reservations === undefined) return;
  if (reservations.pids !== 0)
    report('task.reservations.pids', `${reservations.pids} is not taken: processes can be limited, not reserved`);
  if (limits === undefined) return;
  if (limits.nanoCpus !== 0 && reservations.nanoCpus > limits.nanoCpus) {
    report('task.reservations.nanoCpus', `reserves ${cpus(reservations.nanoCpus)} CPUs, more than the limit of ${cpus(limits.nanoCpus)}`);
  }
  if (limits.memoryBytes !== 0 && reservations.memoryBytes > limits.memoryBytes) {
    report('task.reservations.memoryBytes', `reserves ${reservations.memoryBytes} bytes, more than the limit of ${limits.memoryBytes}`);
  }
}

/** 0 stands for not given. */
function checkOne(path: string, { nanoCpus, memoryBytes, pids }: Resources, report: Report): void {
  if (nanoCpus !== 0 && !(nanoCpus >= MIN_NANO_CPUS)) report(`${path}.nanoCpus`, `${cpus(nanoCpus)} CPUs are too few; at least 0.001`);
  else if (nanoCpus > MAX_CPUS * NANOS_PER_CPU) report(`${path}.nanoCpus`, `${cpus(nanoCpus)} CPUs are too many; at most ${MAX_CPUS}`);
  if (memoryBytes !== 0 && !(memoryBytes >= MIN_MEMORY_BYTES))
    report(`${path}.memoryBytes`, `${memoryBytes} bytes are too few; at least 4 MiB`);
  else if (memoryBytes > MAX_MEMORY_BYTES) report(`${path}.memoryBytes`, `${memoryBytes} bytes are too many; at most 64 TiB`);
  checkCount(`${path}.pids`, pids, MAX_PIDS, report);
}

function cpus(nanoCpus: number): string {
  return String(nanoCpus / NANOS_PER_CPU);
}

const MAX_KINDS = 50;
const KIND = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;
/** Beyond any machine. */
const MAX_OF_A_KIND = 1_000_000;

/** Kinds and how many of each; which ones by name is the scheduler's choice. */
export function checkGenericReservations(reservations: readonly GenericResource[], report: Report): void {
  checkListLength('task.genericReservations', reservations, MAX_KINDS, report);
  reservations.slice(0, MAX_KINDS).forEach(({ kind, count, names }, index) => {
    const path = `task.genericReservations[${index}]`;
    if (!KIND.test(kind)) report(`${path}.kind`, `"${kind.slice(0, 80)}" is not a kind: up to 63 letters, digits, "_", "." and "-"`);
    else if (reservations.findIndex((other) => other.kind === kind) < index) report(`${path}.kind`, `"${kind}" is given twice`);
    if (!Number.isSafeInteger(count) || count < 1 || count > MAX_OF_A_KIND)
      report(`${path}.count`, `${count} is not a whole number from 1 to ${MAX_OF_A_KIND}`);
    if (names.length > 0) report(`${path}.names`, 'a service reserves a number of them, not certain ones');
  });
}
