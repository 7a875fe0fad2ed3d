// All broken variants. Each must be noticed by the invariants within 300 seeds.
import type { Variant } from './variant.ts';

export const VARIANTS: readonly Variant[] = [
  {
    name: 'fence-not-compared',
    what: 'the leader does not compare its fence, and does not look at its lease (I3)',
    patches: [
      {
        file: 'manager/leader/leadership.ts',
        from: "return builder.fence('leader', '', createRevision);",
        to: 'return builder;',
      },
      {
        file: 'manager/leader/leadership.ts',
        from: 'if (ended.aborted || clock.nowMs() >= lease.deadlineMs)',
        to: 'if (ended.aborted)',
      },
    ],
  },
  {
    name: 'watch-gap',
    what: 'a manager whose history was compacted goes on from the end of it, without a fresh snapshot (I6)',
    patches: [
      {
        file: 'manager/state/follower.ts',
        from: "case 'compacted':\n        return;",
        to: "case 'compacted':\n        for await (const later of store.watch('', message.compactedRevision + 1, signal)) if (later.type === 'revision') state.applyRevision(later.revision, later.events);\n        return;",
      },
    ],
  },
  {
    name: 'double-start-on-adoption',
    what: 'an agent that finds an ended container of a task starts it again (I2)',
    patches: [
      {
        file: 'agent/worker/task-machine.ts',
        from: "case 'exited':\n      return onExit({ ...base, phase: 'running', observed: forward(base, TaskState.STARTING) }, instance.exit ?? UNKNOWN_EXIT);",
        to: "case 'exited':\n      return begin(base);",
      },
    ],
  },
  {
    name: 'stale-status-accepted',
    what: 'a status replaces a later one (I8)',
    patches: [
      {
        file: 'manager/dispatcher/status-intake.ts',
        from: 'if (isFinished(current.state) || next.state < current.state) return undefined;',
        to: '',
      },
      {
        file: 'manager/dispatcher/session.ts',
        from: 'if (status.state < (open.reported.get(status.taskId) ?? TaskState.NEW)) continue;',
        to: '',
      },
    ],
  },
  {
    name: 'ack-ignored',
    what: 'a draining task is stopped without waiting for the meshes (I5)',
    patches: [
      {
        file: 'manager/orchestrator/drain.ts',
        from: 'const outstanding = acks.awaited.filter((node) => !isAcked(node));',
        to: 'const outstanding = acks.awaited.filter((node) => !isAcked(node) && false);',
      },
    ],
  },
  {
    name: 'restart-delay-lost',
    what: 'a new leader starts at once what waits for its restart delay (I2)',
    patches: [
      {
        file: 'manager/orchestrator/slot-rules.ts',
        from: 'return delayMs > 0 ? Math.max(0, delayMs - pass.sinceMs(`restart:${holder.row.id}`)) : 0;',
        to: 'const key = `restart:${holder.row.id}`; return delayMs > 0 && pass.context.seen.has(pass.serviceId, `made:${holder.row.id}`) ? Math.max(0, delayMs - pass.sinceMs(key)) : 0;',
      },
    ],
  },
  {
    name: 'slot-numbered-twice',
    what: 'the slot row is not compared when a task is made (I2, I6)',
    patches: [],
  },
  {
    name: 'older-epoch-accepted',
    what: 'an agent takes orders that are older than those it has (I8)',
    patches: [
      {
        file: 'agent/session/epochs.ts',
        from: "case 'older':\n      return `its epoch",
        to: "case 'older':\n      return undefined as never as string; return `its epoch",
      },
    ],
  },
];
