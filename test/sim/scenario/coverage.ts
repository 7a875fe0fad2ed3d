// Which fault struck in the middle of what: a fault that never meets a step of the protocol has not been tried against it.
import { HoldReason, JobState, NodeState, RebalanceState, TaskState, UpdateState } from '../../../proto/index.ts';
import type { Truth } from '../truth/truth.ts';

export const STEPS = [
  'rest',
  'election',
  'registration',
  'node away',
  'mass loss',
  'placement',
  'start',
  'drain',
  'stop',
  'update',
  'restart delay',
  'job run',
  'rebalance',
] as const;
/** Desired states of what shall run. */
const WANTED: ReadonlySet<TaskState> = new Set([TaskState.RUNNING, TaskState.COMPLETE]);

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

  /** "host off during drain": what was never tried, of all faults that were tried at all. */
  zeros(): string[] {
    return this.#faults().flatMap((fault) =>
      STEPS.filter((step) => !this.cells.has(`${fault}|${step}`)).map((step) => `${fault} during ${step}`),
    );
  }

  /** "host off during drain: 2": what was tried less often than `least` times. */
  rare(least: number): string[] {
    return this.#faults().flatMap((fault) =>
      STEPS.flatMap((step) => {
        const count = this.cells.get(`${fault}|${step}`) ?? 0;
        return count > 0 && count < least ? [`${fault} during ${step}: ${count}`] : [];
      }),
    );
  }

  #faults(): string[] {
    return [...new Set([...this.cells.keys()].map((cell) => cell.slice(0, cell.indexOf('|'))))].sort();
  }

  /** A row per fault, a column per step. */
  table(): string {
    const faults = this.#faults();
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
  const leader = mirror.get('leader', '')?.value.managerId;
  // From the end of the one to the word of the next.
  if (truth.world.managers.find(({ id }) => id === leader)?.process?.alive !== true) steps.add('election');
  for (const { value } of mirror.all('nodeStatus')) if (value.state === NodeState.NODE_DOWN) steps.add('node away');
  if (mirror.get('nodeWatch', '')?.value.held.some(({ reason }) => reason === HoldReason.HOLD_MASS_LOSS) === true) steps.add('mass loss');
  for (const { id } of mirror.all('nodes')) if (mirror.get('nodeStatus', id) === undefined) steps.add('registration');
  for (const node of truth.nodes.values()) if (truth.isAway(node) && node.node.power.on) steps.add('registration');
  for (const { id, value } of mirror.all('tasks')) {
    const state = mirror.get('taskStatus', id)?.value.state ?? TaskState.NEW;
    if (value.drain && value.desired <= TaskState.COMPLETE) steps.add('drain');
    if (value.desired >= TaskState.SHUTDOWN && state > TaskState.ASSIGNED && state < TaskState.COMPLETE) steps.add('stop');
    if (value.desired <= TaskState.COMPLETE && value.nodeId === '') steps.add('placement');
    if (value.desired === TaskState.READY) steps.add((value.restart?.delayMs ?? 0) > 0 ? 'restart delay' : 'placement');
    if (WANTED.has(value.desired) && value.nodeId !== '' && state < TaskState.RUNNING) steps.add('start');
  }
  for (const { value } of mirror.all('serviceStatus')) {
    if (value.update?.state === UpdateState.UPDATING) steps.add('update');
    if (value.job?.iterations.some(({ state }) => state === JobState.JOB_RUNNING) === true) steps.add('job run');
    if (value.rebalance?.state === RebalanceState.REBALANCING) steps.add('rebalance');
  }
  if (steps.size === 0) steps.add('rest');
  return steps;
}
