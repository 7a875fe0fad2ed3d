// The life of one task on its node, as a pure machine: events in, next state and effects out. The runner (task-runner.ts) performs the effects.
//
// What it upholds: the observed state only ever moves forward and a final one never changes; a container is started at most once; whatever
// goes wrong with the engine is tried again, whatever goes wrong with the task ends it.
import { TaskState } from '../../proto/index.ts';
import type { Exit, Health, Instance } from '../runtime/runtime.ts';
import type { Desired, Effect, Failure, Operation, Recorded, Step, TaskEvent, TaskMachine } from './task-model.ts';

const DESIRED_RANK: Readonly<Record<Desired, number>> = { ready: 0, running: 1, shutdown: 2, remove: 3, absent: 4 };
const SHUTDOWN_OUTCOME = { state: TaskState.SHUTDOWN, error: '' };
const MAX_TEXT = 1000;

/** A task without a container: the first effect is its prepare, or nothing where it is not wanted any more. `observed` before STARTING. */
export function accept(desired: Desired, hasStartUp = false, observed: TaskState = TaskState.ACCEPTED): Step {
  const machine: TaskMachine = {
    phase: 'preparing',
    desired,
    observed,
    message: 'accepted',
    error: '',
    exitCode: undefined,
    instance: undefined,
    isHealthy: false,
    owesStartUp: hasStartUp,
    outcome: SHUTDOWN_OUTCOME,
  };
  if (stops(desired)) return finish(machine, TaskState.SHUTDOWN, { message: 'stopped before it was prepared' }, 'removed');
  return { next: machine, effects: [perform('prepare')] };
}

/** A task known from before a restart of the agent, with what stands on the host for it. Never starts anything a second time. */
export function adopt(desired: Desired, instance: Instance | undefined, recorded: Recorded | undefined, hasStartUp = false): Step {
  const observed = recorded?.observed ?? TaskState.ACCEPTED;
  const base: TaskMachine = {
    phase: 'preparing',
    desired,
    observed,
    message: recorded?.message ?? 'accepted',
    error: recorded?.error ?? '',
    exitCode: recorded?.exitCode,
    instance: instanceOf(instance),
    isHealthy: observed === TaskState.RUNNING,
    owesStartUp: hasStartUp && observed !== TaskState.RUNNING,
    outcome: SHUTDOWN_OUTCOME,
  };
  if (isFinal(observed)) {
    if (instance === undefined) return settle({ ...base, phase: 'removed' });
    // Somebody started it again behind our back: it ends as recorded.
    if (instance.state === 'running')
      return { next: { ...base, phase: 'stopping', outcome: { state: observed, error: base.error } }, effects: [perform('stop')] };
    return settle({ ...base, phase: 'finished' });
  }
  if (instance === undefined) {
    if (observed >= TaskState.STARTING) return vanished(base);
    return accept(desired, hasStartUp, observed);
  }
  switch (instance.state) {
    case 'created':
      // Recorded as starting, yet created: the start never happened.
      return stops(desired) ? discard(base) : onPrepared(base, instance);
    case 'running':
      return onAlive({ ...base, phase: observed === TaskState.RUNNING ? 'running' : 'checking' }, instance);
    case 'exited':
      return onExit({ ...base, phase: 'running', observed: forward(base, TaskState.STARTING) }, instance.exit ?? UNKNOWN_EXIT);
  }
}

const UNKNOWN_EXIT: Exit = { exitCode: -1, reason: 'it ended; the runtime does not know how' };

export function step(machine: TaskMachine, event: TaskEvent): Step {
  switch (event.kind) {
    case 'desired':
      return onDesired(machine, event.desired);
    case 'prepare-began':
      return machine.phase === 'preparing' && machine.observed < TaskState.PREPARING
        ? stay(report(machine, TaskState.PREPARING, 'preparing'))
        : stay(machine);
    case 'prepared':
      return machine.phase === 'preparing' ? onPrepared(machine, event.instance) : stay(machine);
    case 'started':
      return machine.phase === 'starting' ? onAlive({ ...machine, phase: 'checking' }, event.instance) : stay(machine);
    case 'prepare-failed':
      return machine.phase === 'preparing' ? onPrepareFailed(machine, event.failure) : stay(machine);
    case 'start-failed':
      return machine.phase === 'starting' ? onStartFailed(machine, event.failure) : stay(machine);
    case 'stop-failed':
      return machine.phase === 'stopping' ? onStopFailed(machine, event.failure) : stay(machine);
    case 'remove-failed':
      return machine.phase === 'discarding' || machine.phase === 'removing' ? again(machine, 'remove', event.failure) : stay(machine);
    case 'health':
      return onHealth(machine, event.health, event.detail);
    case 'start-up-passed':
      return machine.phase === 'checking' ? checked({ ...machine, owesStartUp: false }) : stay(machine);
    case 'start-up-waits':
      return machine.phase === 'checking' && machine.owesStartUp
        ? stay({ ...machine, message: `waiting for its start-up probe: ${event.reason}`.slice(0, MAX_TEXT) })
        : stay(machine);
    case 'probe-failed':
      return machine.phase === 'checking' || machine.phase === 'running'
        ? stopWith(machine, { state: TaskState.FAILED, error: event.reason })
        : stay(machine);
    case 'exited':
      return isAlive(machine) ? onExit(machine, event.exit) : stay(machine);
    case 'stopped':
      return machine.phase === 'stopping' ? onExit(machine, event.exit) : stay(machine);
    case 'vanished':
      return isAlive(machine) ? vanished(machine) : stay(machine);
    case 'removed':
      return onRemoved(machine);
    case 'reclaim':
      return machine.phase === 'finished' ? { next: { ...machine, phase: 'removing' }, effects: [perform('remove')] } : stay(machine);
  }
}

/** From here on no state follows. */
export function isFinal(state: TaskState): boolean {
  return state >= TaskState.COMPLETE;
}

/** Has a process: it may exit. */
function isAlive(machine: TaskMachine): boolean {
  return machine.phase === 'starting' || machine.phase === 'checking' || machine.phase === 'running' || machine.phase === 'stopping';
}

function stops(desired: Desired): boolean {
  return DESIRED_RANK[desired] >= DESIRED_RANK.shutdown;
}

function onDesired(machine: TaskMachine, desired: Desired): Step {
  if (DESIRED_RANK[desired] <= DESIRED_RANK[machine.desired]) return stay(machine);
  const next = { ...machine, desired };
  switch (machine.phase) {
    case 'preparing':
      return stops(desired) ? cancelThen(discard(next)) : stay(next);
    case 'ready':
      return stops(desired) ? discard(next) : begin(next);
    case 'checking':
    case 'running':
      return stops(desired) ? stopWith(next, SHUTDOWN_OUTCOME) : stay(next);
    case 'finished':
    case 'removed':
      return settle(next);
    // A start under way is waited for: only its result says what there is to stop.
    case 'starting':
    case 'stopping':
    case 'discarding':
    case 'removing':
    case 'gone':
      return stay(next);
  }
}

function onPrepared(machine: TaskMachine, instance: Instance): Step {
  const known = { ...machine, instance: instanceOf(instance) };
  switch (instance.state) {
    case 'created': {
      const ready = { ...report(known, TaskState.READY, 'prepared'), phase: 'ready' as const };
      return ready.desired === 'running' ? begin(ready) : stay(ready);
    }
    case 'running':
      return onAlive({ ...known, phase: 'checking' }, instance);
    case 'exited':
      return onExit({ ...known, phase: 'running', observed: forward(known, TaskState.STARTING) }, instance.exit ?? UNKNOWN_EXIT);
  }
}

function begin(machine: TaskMachine): Step {
  return { next: { ...report(machine, TaskState.STARTING, 'starting'), phase: 'starting' }, effects: [perform('start')] };
}

function onAlive(machine: TaskMachine, instance: Instance): Step {
  const alive = { ...machine, observed: forward(machine, TaskState.STARTING), instance: instanceOf(instance) };
  if (stops(alive.desired)) return stopWith(alive, SHUTDOWN_OUTCOME);
  return { next: alive, effects: [{ do: 'attach' }] };
}

function onPrepareFailed(machine: TaskMachine, failure: Failure): Step {
  if (failure.retryable) return again(machine, 'prepare', failure);
  return finish(machine, TaskState.REJECTED, { error: failure.reason }, 'finished');
}

function onStartFailed(machine: TaskMachine, failure: Failure): Step {
  if (failure.retryable && stops(machine.desired)) return stopWith(machine, SHUTDOWN_OUTCOME);
  if (failure.retryable) return again(machine, 'start', failure);
  if (failure.missing) return vanished(machine);
  return finish(machine, TaskState.FAILED, { error: failure.reason }, 'finished');
}

function onStopFailed(machine: TaskMachine, failure: Failure): Step {
  return failure.missing ? vanished(machine) : again(machine, 'stop', failure);
}

function onHealth(machine: TaskMachine, health: Health, detail: string): Step {
  if (machine.phase !== 'checking' && machine.phase !== 'running') return stay(machine);
  switch (health) {
    case 'unhealthy':
      return stopWith(machine, { state: TaskState.FAILED, error: `unhealthy: ${detail === '' ? 'its health check failed' : detail}` });
    case 'none':
    case 'healthy':
      return machine.phase === 'checking' ? checked({ ...machine, isHealthy: true }) : stay(machine);
    case 'starting':
      return stay(machine.phase === 'checking' ? { ...machine, message: waitingForHealth(detail) } : machine);
  }
}

/** RUNNING once nothing is owed any more. */
function checked(machine: TaskMachine): Step {
  if (machine.owesStartUp) return stay(machine);
  if (!machine.isHealthy) return stay({ ...machine, message: waitingForHealth('') });
  return stay({ ...report(machine, TaskState.RUNNING, 'started'), phase: 'running' });
}

/** `detail`: what the last check said, if it failed. */
function waitingForHealth(detail: string): string {
  return detail === '' ? 'waiting for its health check' : `unhealthy so far: ${detail}`.slice(0, MAX_TEXT);
}

function stopWith(machine: TaskMachine, outcome: TaskMachine['outcome']): Step {
  const message = outcome.error === '' ? 'stopping' : `stopping: ${outcome.error}`.slice(0, MAX_TEXT);
  return { next: { ...machine, phase: 'stopping', outcome, message }, effects: [perform('stop')] };
}

function discard(machine: TaskMachine): Step {
  return { next: { ...machine, phase: 'discarding', message: 'stopped before it started' }, effects: [perform('remove')] };
}

function onExit(machine: TaskMachine, exit: Exit): Step {
  const exitCode = exit.exitCode < 0 ? undefined : exit.exitCode;
  if (machine.phase === 'stopping') {
    const { state, error } = machine.outcome;
    return finish({ ...machine, exitCode }, state, { message: state === TaskState.SHUTDOWN ? 'stopped' : 'failed', error }, 'finished');
  }
  if (exit.exitCode === 0) return finish({ ...machine, exitCode }, TaskState.COMPLETE, { message: 'finished' }, 'finished');
  const error = exit.reason === '' ? `exit code ${String(exit.exitCode)}` : exit.reason;
  return finish({ ...machine, exitCode }, TaskState.FAILED, { error }, 'finished');
}

function vanished(machine: TaskMachine): Step {
  if (machine.phase === 'stopping')
    return finish(machine, machine.outcome.state, { message: 'stopped', error: machine.outcome.error }, 'removed');
  return finish(machine, TaskState.FAILED, { error: 'its container is gone: something other than Shoal removed it' }, 'removed');
}

function onRemoved(machine: TaskMachine): Step {
  if (machine.phase === 'discarding') return finish(machine, TaskState.SHUTDOWN, { message: machine.message }, 'removed');
  return machine.phase === 'removing' ? settle({ ...machine, phase: 'removed' }) : stay(machine);
}

/** Ends in `state`, unless an end was recorded before; then goes on as far as desired asks. */
function finish(
  machine: TaskMachine,
  state: TaskState,
  texts: { readonly message?: string; readonly error?: string },
  phase: 'finished' | 'removed',
): Step {
  if (isFinal(machine.observed)) return settle({ ...machine, phase });
  const message = texts.message ?? (state === TaskState.REJECTED ? 'rejected' : 'failed');
  return settle({ ...machine, phase, observed: state, message, error: (texts.error ?? '').slice(0, MAX_TEXT) });
}

/** A finished task goes as far as desired asks: container removed, forgotten. */
function settle(machine: TaskMachine): Step {
  const remove = DESIRED_RANK[machine.desired] >= DESIRED_RANK.remove;
  if (machine.phase === 'finished' && remove) return { next: { ...machine, phase: 'removing' }, effects: [perform('remove')] };
  if (machine.phase === 'removed' && machine.desired === 'absent')
    return { next: { ...machine, phase: 'gone' }, effects: [{ do: 'forget' }] };
  return stay(machine);
}

function again(machine: TaskMachine, operation: Operation, failure: Failure): Step {
  const message = `cannot ${operation} now: ${failure.reason}; trying again`.slice(0, MAX_TEXT);
  return { next: { ...machine, message }, effects: [{ do: operation, again: true }] };
}

function cancelThen(rest: Step): Step {
  return { next: rest.next, effects: [{ do: 'cancel' }, ...rest.effects] };
}

function perform(operation: Operation): Effect {
  return { do: operation, again: false };
}

function stay(machine: TaskMachine): Step {
  return { next: machine, effects: [] };
}

function report(machine: TaskMachine, state: TaskState, message: string): TaskMachine {
  return { ...machine, observed: forward(machine, state), message };
}

function forward(machine: TaskMachine, state: TaskState): TaskState {
  return isFinal(machine.observed) || machine.observed > state ? machine.observed : state;
}

function instanceOf(instance: Instance | undefined): TaskMachine['instance'] {
  return instance === undefined ? undefined : { containerId: instance.containerId, pid: instance.pid, address: instance.address };
}
