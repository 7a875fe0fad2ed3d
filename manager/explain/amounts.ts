// Amounts in words.
import { formatSizeBytes } from '../../lib/units.ts';

const MIB = 1024 ** 2;
/** Less cannot be reserved (semantics.md, limits of input). */
const LEAST_MEMORY_BYTES = 4 * MIB;
const LEAST_NANO_CPUS = 1e6;

export function cpusText(nanoCpus: number): string {
  return String(Number((nanoCpus / 1e9).toFixed(3)));
}

/** "1.2GiB"; of a negative amount, that much too little: "none". */
export function memoryText(bytes: number): string {
  return bytes <= 0 ? 'none' : formatSizeBytes(bytes);
}

/** Rounded up to what people would type. */
export function missingText(bytes: number): string {
  return formatSizeBytes(Math.ceil(bytes / MIB) * MIB);
}

/** The most that can be reserved within `freeBytes`, in whole MiB; 0: nothing. */
export function reservableBytes(freeBytes: number): number {
  const whole = Math.floor(freeBytes / MIB) * MIB;
  return whole >= LEAST_MEMORY_BYTES ? whole : 0;
}

export function reservableNanoCpus(freeNanoCpus: number): number {
  const whole = Math.floor(freeNanoCpus / LEAST_NANO_CPUS) * LEAST_NANO_CPUS;
  return whole >= LEAST_NANO_CPUS ? whole : 0;
}

/** For a flag: "1228m". */
export function memoryFlag(bytes: number): string {
  return bytes === 0 ? '0' : `${String(bytes / MIB)}m`;
}

/** "1 node", "3 nodes" */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${String(count)} ${count === 1 ? one : many}`;
}
