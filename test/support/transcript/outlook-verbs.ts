// What users are shown beside tasks and updates: nodes and what is held against them, explanations, plans, names.
import assert from 'node:assert/strict';
import { explanationLines } from '../../../cli/format/explanation.ts';
import { sortTasks, taskFormat } from '../../../cli/format/task.ts';
import { taskName } from '../../../manager/api/task-names.ts';
import { taskView } from '../../../manager/api/task-view.ts';
import { ChangeRecord, eventsOf } from '../../../manager/events/index.ts';
import { explainService } from '../../../manager/explain/index.ts';
import {
  Availability,
  enumName,
  type Event,
  EventRecord,
  HoldReason,
  ManagerLiveness,
  NodeState,
  type Task,
  TaskState,
} from '../../../proto/index.ts';
import type { Row } from '../../../manager/state/index.ts';
import type { ReconcileModel } from '../reconcile-model.ts';
import { row } from '../state-rows.ts';
import type { Verbs } from './transcript.ts';

export function outlookVerbs(model: ReconcileModel): Verbs['views'] {
  // Explanations say so where nobody leads.
  model.world.change([row('leader', '', ManagerLiveness.create({ managerId: 'm' }))]);
  const changes = taskChanges(model);
  return {
    /** changes SERVICE: the events about its tasks since that was last asked for */
    changes: ([name = '']) => {
      const told = changes.filter(({ attributes }) => attributes['service.id'] === name);
      changes.length = 0;
      return told.map(({ objectName, action, message }) => `${objectName} ${action}: ${message}`);
    },
    /** Each node: its state, its availability, what the leader holds against it, and how many tasks shall run there. */
    nodes: () => [...model.hosts.nodes.keys()].map((id) => nodeLine(model, id)),
    /** explain SERVICE: as `service explain` prints it */
    explain: ([name = '']) => explanationLines(explainService(model.state, name, model.clock), model.clock.wallMs()),
    /** ps SERVICE: name, node, and the message of those that shall run, as the API shows them */
    ps: ([name = '']) =>
      rowsOf(model, name)
        .filter(({ value }) => value.desired <= TaskState.COMPLETE)
        .map((row) => {
          const { state, nodeHostname, message } = taskView(model.state, row, model.clock.wallMs());
          return [`${taskName(model.state, row.value)} ${enumName(TaskState, state).toLowerCase()}`, nodeHostname, message]
            .filter(Boolean)
            .join(', ');
        })
        .sort(),
    /** table SERVICE: name, states and error of all its tasks, as `service ps` prints them in full, but for since when */
    table: ([name = '']) => {
      const nowUnixMs = model.clock.wallMs();
      const views = rowsOf(model, name).map((row) => taskView(model.state, row, nowUnixMs));
      return sortTasks(views).map((view) => {
        const fields = taskFormat.fields(view, { truncate: false, nowUnixMs });
        const cells = [fields['Name'], fields['Node'], fields['DesiredState'], fields['CurrentState'], fields['Error']].map(String);
        return cells
          .filter(Boolean)
          .join(', ')
          .replace(/ (?:less than |about )?(?:an?|\d+) \w+ ago/, '');
      });
    },
    /** desired SERVICE: what is wished of each task, in the order of their making */
    desired: ([name = '']) =>
      rowsOf(model, name).map(
        ({ value }) =>
          `${taskName(model.state, value)} on ${value.nodeId}: ${enumName(TaskState, value.desired).toLowerCase()}${value.lost ? ', lost' : ''}`,
      ),
    /** placed SERVICE...: how many tasks that shall run are on which node, together */
    placed: (names) => {
      const counts = new Map([...model.hosts.nodes.keys()].map((id) => [id, 0]));
      for (const { nodeId, desired, lost, verdict } of names.flatMap((name) => model.tasks(name))) {
        if (desired > TaskState.COMPLETE || lost || verdict?.state === TaskState.PENDING) continue;
        counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
      }
      return [[...counts].map(([id, count]) => `${id}: ${count}`).join(', ')];
    },
  };
}

/** As the leader and the dispatchers store them with what they write. */
function taskChanges(model: ReconcileModel): Event[] {
  const told: Event[] = [];
  model.state.subscribe((changes) => {
    const record = new ChangeRecord(model.state, model.clock.wallMs());
    for (const change of changes) {
      if (change.table === 'tasks') record.noteTask(change.before?.value, change.after?.value);
      if (change.table === 'taskStatus' && change.after !== undefined) record.noteTaskStatus(change.before?.value, change.after.value);
    }
    told.push(...eventsOf(EventRecord.create(record.build() ?? {})));
  });
  return told;
}

function rowsOf(model: ReconcileModel, serviceId: string): readonly Row<Task>[] {
  return [...model.state.tasksOfService(serviceId)].sort(
    (one, other) => one.createRevision - other.createRevision || one.value.slot - other.value.slot,
  );
}

function nodeLine(model: ReconcileModel, id: string): string {
  const status = model.state.get('nodeStatus', id)?.value ?? assert.fail(`no node ${id}`);
  const watch = model.state.get('nodeWatch', '')?.value;
  const availability = model.state.get('nodes', id)?.value.spec?.availability ?? Availability.ACTIVE;
  const held = watch?.held.find(({ nodeId }) => nodeId === id);
  const unsettled = watch?.unsettled.find(({ nodeId }) => nodeId === id);
  const tasks = [...model.state.tasksOfNode(id)].filter(({ value }) => value.desired <= TaskState.COMPLETE && !value.lost).length;
  const marks = [
    enumName(NodeState, status.state).replace('NODE_', '').toLowerCase(),
    enumName(Availability, availability).toLowerCase(),
    `${tasks} tasks`,
    ...(held === undefined ? [] : [`held: ${enumName(HoldReason, held.reason).replace('HOLD_', '').toLowerCase().replaceAll('_', ' ')}`]),
    ...(unsettled === undefined ? [] : [`not settled for ${unsettled.settleMs / 1000} s`]),
  ];
  return `${id} ${marks.join(', ')}`;
}
