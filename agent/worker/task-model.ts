// What a task is to its node: the state that its machine (task-machine.ts) is in, what it hears, and what it asks to be done.
import type { TaskState } from '../../proto/index.ts';
import type { Exit, Health, Instance } from '../runtime/runtime.ts';

/** What the managers want, in the only order it may take. "absent": the task is gone from the store. */
export type Desired = 'ready' | 'running' | 'shutdown' | 'remove' | 'absent';

export type Phase =
  /** Prepare is asked for, waits its turn or is under way. */
  | 'preparing'
  /** Created, held until desired RUNNING. */
  | 'ready'
  | 'starting'
  /** Started; its health is not known yet. */
  | 'checking'
  | 'running'
  | 'stopping'
  /** Never started; what was prepared is being removed. */
  | 'discarding'
  /** Final, with its container kept for logs. */
  | 'finished'
  /** Final, its container is being removed. */
  | 'removing'
  /** Final, without a container. */
  | 'removed'
  | 'gone';

export interface TaskMachine {
  readonly phase: Phase;
  readonly desired: Desired;
  /** What is reported. */
  readonly observed: TaskState;
  readonly message: string;
  readonly error: string;
  readonly exitCode: number | undefined;
  readonly instance: { readonly containerId: string; readonly pid: number; readonly address: string | undefined } | undefined;
  /** What it has passed of what stands between its start and RUNNING; of these, a task without a start-up probe owes none. */
  readonly isHealthy: boolean;
  readonly owesStartUp: boolean;
  /** What a stop under way ends in. */
  readonly outcome: { readonly state: TaskState; readonly error: string };
}

/** `retryable`: the engine failed, not the task. `missing`: there is no such container. */
export interface Failure {
  readonly retryable: boolean;
  readonly missing: boolean;
  readonly reason: string;
}

export type TaskEvent =
  | { readonly kind: 'desired'; readonly desired: Desired }
  | { readonly kind: 'prepare-began' }
  | { readonly kind: 'prepared' | 'started'; readonly instance: Instance }
  | { readonly kind: 'prepare-failed' | 'start-failed' | 'stop-failed' | 'remove-failed'; readonly failure: Failure }
  | { readonly kind: 'health'; readonly health: Health; readonly detail: string }
  /** Its start-up probe; `waits` with what is wrong so far. */
  | { readonly kind: 'start-up-passed' }
  | { readonly kind: 'start-up-waits'; readonly reason: string }
  /** Its start-up or liveness probe says that it must go. */
  | { readonly kind: 'probe-failed'; readonly reason: string }
  | { readonly kind: 'exited' | 'stopped'; readonly exit: Exit }
  | { readonly kind: 'vanished' }
  | { readonly kind: 'removed' }
  /** The node keeps no more finished containers than this. */
  | { readonly kind: 'reclaim' };

export type Operation = 'prepare' | 'start' | 'stop' | 'remove';

export type Effect =
  /** `again`: after a back-off, since it failed before. */
  | { readonly do: Operation; readonly again: boolean }
  /** Aborts the operation under way and the one that waits; neither gives an event any more. */
  | { readonly do: 'cancel' }
  /** Watches for the end and for health, until the task is no longer alive. */
  | { readonly do: 'attach' }
  | { readonly do: 'forget' };

export interface Step {
  readonly next: TaskMachine;
  readonly effects: readonly Effect[];
}

/** What was last recorded of a task before the agent restarted. */
export interface Recorded {
  readonly observed: TaskState;
  readonly message: string;
  readonly error: string;
  readonly exitCode: number | undefined;
}
