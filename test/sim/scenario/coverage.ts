// Which fault struck in the middle of what: a fault that never meets a step of the protocol has not been tried against it.
import { NodeState, TaskState, UpdateState } from '../../../proto/index.ts';
import type { Truth } from '../truth/truth.ts';

export const STEPS = [
  'rest',
  'election',
  'registration',
  'node away',
  'placement',
  'start',
  'drain',
  'stop',
  'update',
  'restart delay',
] as const;
export type Step = (typeof STEPS)[number];

export class Coverage {
  readonly cells = new Map<string, number>();

  count(fault: string, steps: Iterable<Step>): void {
    for (const step of steps) this.add(`${fault}|${step}`, 1);
  }

  add(cell: string, count: number): void {
    this.cells.set(cell, (this.cells.get(cell) ?? 0) + count);
  }

  merge(other: Iterable<readonly [string, number]>): void {
    for (const [cell, count] of other) this.add(cell, count);
  }

  /** A row per fault, a column per step. */
  table(): string {
    const faults = [...new Set([...this.cells.keys()].map((cell) => cell.slice(0, cell.indexOf('|'))))].sort();
    const width = Math.max(10, ...faults.map((fault) => fault.length));
    const head = ['fault'.padEnd(width), ...STEPS.map((step) => step.padStart(13))].join(' ');
    const rows = faults.map((fault) =>
      [fault.padEnd(width), ...STEPS.map((step) => String(this.cells.get(`${fault}|${step}`) ?? 0).padStart(13))].join(' '),
    );
    return [head, ...rows].join('\n');
  }
}

/** At this moment; `rest` where there is nothing else. */
export function stepsUnderWay(truth: Truth): ReadonlySet<Step> {
  const { mirror } = truth;
  const steps = new Set<Step>();
  if (mirror.get('leader', '') === undefined) steps.add('election');
  for (const { value } of mirror.all('nodeStatus')) if (value.state === NodeState.NODE_DOWN) steps.add('node away');
  for (const { id } of mirror.all('nodes')) if (mirror.get('nodeStatus', id) === undefined) steps.add('registration');
  for (const node of truth.nodes.values()) if (truth.isAway(node) && node.node.power.on) steps.add('registration');
  for (const { id, value } of mirror.all('tasks')) {
    const state = mirror.get('taskStatus', id)?.value.state ?? TaskState.NEW;
    if (value.drain && value.desired <= TaskState.RUNNING) steps.add('drain');
    if (value.desired >= TaskState.SHUTDOWN && state > TaskState.ASSIGNED && state < TaskState.COMPLETE) steps.add('stop');
    if (value.desired <= TaskState.RUNNING && value.nodeId === '') steps.add('placement');
    if (value.desired === TaskState.READY) steps.add((value.restart?.delayMs ?? 0) > 0 ? 'restart delay' : 'placement');
    if (value.desired === TaskState.RUNNING && value.nodeId !== '' && state < TaskState.RUNNING) steps.add('start');
  }
  for (const { value } of mirror.all('serviceStatus')) if (value.update?.state === UpdateState.UPDATING) steps.add('update');
  if (steps.size === 0) steps.add('rest');
  return steps;
}
