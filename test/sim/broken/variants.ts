// All broken variants. Each must be noticed by the invariants within 300 seeds.
import type { Variant } from './variant.ts';

export const VARIANTS: readonly Variant[] = [
  {
    name: 'fence-not-compared',
    what: 'the leader does not compare its fence (I3)',
    knownSeed: 41,
    patches: [
      {
        file: 'manager/leader/leadership.ts',
        from: "return builder.fence('leader', '', createRevision);",
        to: 'return builder;',
      },
    ],
  },
  {
    name: 'watch-gap',
    what: 'a manager whose history was compacted goes on from the end of it, without a fresh snapshot (I6)',
    knownSeed: 25,
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
    knownSeed: 1,
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
    knownSeed: 42,
    patches: [
      {
        file: 'manager/dispatcher/status-intake.ts',
        from: 'if (isFinished(current.state) || next.state < current.state) return undefined;',
        to: '',
      },
      {
        file: 'manager/dispatcher/status-reports.ts',
        from: 'if (status.state < (this.#reported.get(status.taskId) ?? TaskState.NEW)) continue;',
        to: '',
      },
    ],
  },
  {
    name: 'ack-ignored',
    what: 'a draining task is stopped without waiting for the meshes (I5)',
    knownSeed: 4,
    patches: [
      {
        file: 'manager/orchestrator/drain.ts',
        from: 'const outstanding = acks.ackedRevision >= row.modRevision ? [] : acks.awaited.filter((node) => !isAcked(node));',
        to: 'const outstanding = acks.awaited.filter((node) => !isAcked(node) && false);',
      },
    ],
  },
  {
    name: 'restart-delay-lost',
    what: 'a new leader starts at once what waits for its restart delay (restart)',
    knownSeed: 3,
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
    what: 'a slot number that is taken is given out again (I2)',
    knownSeed: 1,
    patches: [
      {
        file: 'manager/orchestrator/scale.ts',
        from: 'if (slots.get(key)?.holder !== undefined) continue;',
        to: '',
      },
    ],
  },
  {
    name: 'older-epoch-accepted',
    what: 'an agent takes orders that are older than those it has, and managers do not wait until they have what it has (I8)',
    knownSeed: 12,
    patches: [
      {
        file: 'agent/session/epochs.ts',
        from: 'return `its epoch ${describeEpoch(next)} is older than ${describeEpoch(held)}, which was applied already`;',
        to: 'return undefined;',
      },
      {
        file: 'manager/dispatcher/epochs.ts',
        from: 'revision = Math.max(revision, epoch.revision);',
        to: '',
      },
      {
        file: 'manager/dispatcher/registration.ts',
        from: '// Also of its own commit: what the agent is told then is at least as new as its registration.\n  await state.reached(result.revision, catchUpMs);',
        to: '',
      },
      {
        file: 'manager/dispatcher/assignment-feed.ts',
        from: 'if (state.revision < this.#needed) {',
        to: 'if (state.revision < this.#needed && false) {',
      },
    ],
  },
  {
    name: 'drain-over-the-limit',
    what: 'all tasks of a drained node are moved at once, whatever the update settings of their services allow (minimum)',
    knownSeed: 1,
    patches: [
      {
        file: 'manager/orchestrator/moves.ts',
        from: "candidate.reason !== 'eviction' && moving >= limit",
        to: "candidate.reason === 'update' && moving >= limit",
      },
    ],
  },
  {
    name: 'parallelism-ignored',
    what: 'an update moves all tasks at once (minimum)',
    knownSeed: 1,
    patches: [
      {
        file: 'manager/orchestrator/moves.ts',
        from: 'const limit = pass.config.parallelism === 0 ? Number.POSITIVE_INFINITY : pass.config.parallelism;',
        to: 'const limit = Number.POSITIVE_INFINITY;',
      },
    ],
  },
  {
    name: 'first-ack-is-enough',
    what: 'a draining task is stopped once one of the meshes has acknowledged (I5)',
    knownSeed: 4,
    patches: [
      {
        file: 'manager/orchestrator/drain.ts',
        from: 'const outstanding = acks.ackedRevision >= row.modRevision ? [] : acks.awaited.filter((node) => !isAcked(node));',
        to: 'const outstanding = acks.awaited.some(isAcked) ? [] : acks.awaited;',
      },
    ],
  },
  {
    name: 'write-repeated-blindly',
    what: 'a change whose outcome nobody knows is made once more, as if it had not happened (I1)',
    knownSeed: 15,
    patches: [
      {
        file: 'manager/api/change.ts',
        from: '    throw refusal(ShoalError.from(error), what, answered);',
        to: "    if (ShoalError.from(error).code === 'cancelled') throw error;\n    return { committed: false, revision: state.revision };",
      },
    ],
  },
  {
    name: 'session-not-compared',
    what: "a manager writes what agents say after the agent's session has moved to another manager (I3)",
    knownSeed: 1,
    patches: [{ file: 'manager/dispatcher/fenced-writer.ts', from: "builder.require('sessions', queue.fence);", to: '' }],
  },
  {
    name: 'port-reused-at-once',
    what: 'a released node port is the next one that is given out (I5)',
    knownSeed: 2,
    patches: [
      { file: 'agent/ports/port-book.ts', from: 'book.next = port >= range.last ? range.first : port + 1;', to: 'book.next = port + 1;' },
      {
        file: 'agent/ports/port-book.ts',
        from: 'if (inRange(nodePort, range)) book.cooling.set(nodePort, nowMs + COOLING_MS);',
        to: 'if (inRange(nodePort, range) && nowMs >= 0) book.next = Math.min(book.next, nodePort);',
      },
    ],
  },
  {
    name: 'hold-forgotten',
    what: 'a new leader does not know that a mass loss is held (hold)',
    knownSeed: 15,
    patches: [
      {
        file: 'manager/leader/node-watch.ts',
        from: 'const isEvicted = evicted.get(id) === nonce;',
        to: 'const isEvicted = true;',
      },
    ],
  },
  {
    name: 'orders-before-disk',
    what: 'an agent acts on orders that are not on its disk yet (I8)',
    knownSeed: 1,
    patches: [
      {
        file: 'agent/session/assignment-keeper.ts',
        from: 'newest = { book, complete };\n    persist();',
        to: 'newest = { book, complete };\n    options.onApplied(book, complete);\n    persist();',
      },
    ],
  },
  {
    name: 'table-forgotten',
    what: 'a mesh that starts does not read the table that it has on disk (I4)',
    knownSeed: 1,
    patches: [
      {
        file: 'mesh/table/file.ts',
        from: 'if (bytes === undefined) return undefined;',
        to: 'if (bytes === undefined || bytes.length > 0) return undefined;',
      },
    ],
  },
  {
    name: 'own-end-not-told',
    what: 'an agent does not tell its mesh that a task has ended (I5)',
    knownSeed: 27,
    patches: [{ file: 'agent/agent.ts', from: 'if (isFinal(status.state)) tellEnds();', to: '' }],
  },
  {
    name: 'spec-overwritten',
    what: 'two changes of a service at the same time are both acknowledged (I1)',
    knownSeed: 4,
    patches: [
      {
        file: 'manager/api/services/new-spec.ts',
        from: "builder.put('services', row.id,",
        to: "builder.overwrite('services', row.id,",
      },
      {
        file: 'manager/api/services/new-spec.ts',
        from: "builder.put('specs',",
        to: "builder.overwrite('specs',",
      },
    ],
  },
  {
    name: 'left-behind-on-restart',
    what: 'an agent that starts does not look for what runs already (I2, I6, I7)',
    knownSeed: 1,
    patches: [
      {
        file: 'agent/worker/worker.ts',
        from: 'for (const instance of found) strays.set(instance.taskId, instance);',
        to: 'found.length = 0;',
      },
    ],
  },
  {
    name: 'schedule-not-settled',
    what: 'what a schedule asked for is not written down, and so begun again (schedule)',
    knownSeed: 1,
    patches: [
      { file: 'manager/orchestrator/job-schedule.ts', from: '    settledUnixMs: dueMs,', to: '    settledUnixMs: settledMs,' },
      {
        file: 'manager/orchestrator/job-schedule.ts',
        from: "if (iterations.some(({ scheduledUnixMs }) => scheduledUnixMs === dueMs)) return 'done';",
        to: '',
      },
    ],
  },
  {
    name: 'overlap-not-looked-at',
    what: 'a schedule that forbids overlap begins while an earlier iteration runs (schedule)',
    knownSeed: 14,
    patches: [
      {
        file: 'manager/orchestrator/job-schedule.ts',
        from: "return first === undefined ? 'start' : { skip: `iteration ${first.number} still runs` };",
        to: "return 'start';",
      },
    ],
  },
  {
    name: 'completed-slot-run-again',
    what: 'a slot of a job that has completed is tried again as if it had failed (job)',
    knownSeed: 1,
    patches: [
      { file: 'manager/orchestrator/job-view.ts', from: 'return everybody(slot).some(hasCompleted);', to: 'return false;' },
      {
        file: 'manager/orchestrator/job-view.ts',
        from: 'if (!info.isFinished || hasCompleted(info)) return false;',
        to: 'if (!info.isFinished) return false;',
      },
    ],
  },
  {
    name: 'job-limit-ignored',
    what: 'a job runs all of its slots at once, whatever its limit (job)',
    knownSeed: 1,
    patches: [
      {
        file: 'manager/orchestrator/job-slots.ts',
        from: 'const most = Math.min(spec?.job?.maxConcurrent || replicas, replicas);',
        to: 'const most = replicas;',
      },
    ],
  },
  {
    name: 'preempts-anybody',
    what: 'room is made at the cost of tasks of any priority (preemption)',
    knownSeed: 13,
    patches: [{ file: 'manager/scheduler/preempt.ts', from: '(demand.priority ?? 0) <= shape.priority - this.#tenants.gap &&', to: '' }],
  },
  {
    name: 'host-port-twice',
    what: 'two tasks with the same host port are placed on one node (placement)',
    knownSeed: 1,
    patches: [
      {
        file: 'manager/scheduler/filters.ts',
        from: "if (hostPorts !== undefined && shape.hostPorts.some((port) => hostPorts.has(hostPortKey(port)))) return 'hostPorts';",
        to: '',
      },
    ],
  },
  {
    name: 'readiness-not-told',
    what: 'a task whose readiness probe fails keeps its traffic (readiness)',
    knownSeed: 4,
    patches: [{ file: 'agent/worker/task-traffic.ts', from: 'readiness?.ready === false ? new Set() : answered', to: 'answered' }],
  },
  {
    name: 'one-attempt-more',
    what: 'a slot is tried once more than its restart policy says (restart)',
    knownSeed: 54,
    patches: [
      {
        file: 'manager/orchestrator/restart.ts',
        from: 'if (!isWindowed && maxAttempts > 0 && attempts >= maxAttempts)',
        to: 'if (!isWindowed && maxAttempts > 0 && attempts > maxAttempts)',
      },
    ],
  },
];
