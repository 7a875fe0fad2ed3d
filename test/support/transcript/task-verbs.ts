// The verbs of transcripts about one task on its node: what the manager wishes, what the engine answers, and what the agent reports and does.
import assert from 'node:assert/strict';
import { accept, step } from '../../../agent/worker/task-machine.ts';
import type { Desired, Effect, Step, TaskEvent, TaskMachine } from '../../../agent/worker/task-model.ts';
import { enumName, TaskState } from '../../../proto/index.ts';
import type { Verbs } from './transcript.ts';

const INSTANCE = { taskId: 't1', containerId: 'c1', state: 'running', pid: 1, address: undefined, ports: [], exit: undefined } as const;

/** What follows the verb is the reason, where one is told. */
const EVENTS: Readonly<Record<string, (words: string) => TaskEvent>> = {
  wish: (words) => ({ kind: 'desired', desired: words as Desired }),
  preparing: () => ({ kind: 'prepare-began' }),
  prepared: () => ({ kind: 'prepared', instance: { ...INSTANCE, state: 'created' } }),
  started: () => ({ kind: 'started', instance: INSTANCE }),
  'prepare-fails': (reason) => ({ kind: 'prepare-failed', failure: { retryable: false, missing: false, reason } }),
  'start-fails': (reason) => ({ kind: 'start-failed', failure: { retryable: false, missing: false, reason } }),
  'engine-is-away': (reason) => ({ kind: 'start-failed', failure: { retryable: true, missing: false, reason } }),
  /** The container's own check; "none": it has none. */
  health: (words) => {
    const [health = '', ...detail] = words.split(' ');
    return { kind: 'health', health: health as 'none', detail: detail.join(' ') };
  },
  'start-up-passes': () => ({ kind: 'start-up-passed' }),
  'start-up-waits': (reason) => ({ kind: 'start-up-waits', reason }),
  'probe-fails': (reason) => ({ kind: 'probe-failed', reason }),
  exits: (code) => ({ kind: 'exited', exit: { exitCode: Number(code), reason: '' } }),
  stopped: () => ({ kind: 'stopped', exit: { exitCode: 143, reason: '' } }),
  vanishes: () => ({ kind: 'vanished' }),
  removed: () => ({ kind: 'removed' }),
};

export function taskVerbs(): Verbs {
  let machine: TaskMachine | undefined;
  let effects: readonly Effect[] = [];
  let last = '';
  const seen: string[] = [];
  const take = ({ next, effects: fresh }: Step): void => {
    machine = next;
    effects = [...effects, ...fresh];
    const state = enumName(TaskState, next.observed).toLowerCase();
    const words = [state, next.error || next.message].filter(Boolean).join(': ');
    if (words !== last) seen.push(words);
    last = words;
  };
  const acts = Object.entries(EVENTS).map(([verb, event]) => [
    verb,
    (args: readonly string[]): void => {
      take(step(machine ?? assert.fail('no task is given'), event(args.join(' '))));
    },
  ]);
  return {
    acts: {
      /** task ready|running [start-up]: assigned with that wish, with a start-up probe or without */
      task: ([wish = '', probe]) => {
        take(accept(wish as Desired, probe === 'start-up'));
      },
      ...(Object.fromEntries(acts) as Verbs['acts']),
    },
    views: {
      /** What was reported since that was last asked for, in turn. */
      reported: () => (seen.length === 0 ? ['nothing'] : seen.splice(0)),
      /** What the agent is to do since then. */
      does: () => {
        const names = effects.map((effect) => ('again' in effect && effect.again ? `${effect.do} again` : effect.do));
        effects = [];
        return names.length === 0 ? ['nothing'] : [names.join(', ')];
      },
    },
  };
}
