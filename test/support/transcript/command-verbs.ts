// The verbs of transcripts of command lines: `shoal ...` and raw calls against a manager's real API, over a store in memory. Nobody leads, so that what
// is seen is what the API itself does.
import assert from 'node:assert/strict';
import { messages } from '../../../cli/client/stream.ts';
import { shellWords } from '../../../cli/service/spec/shell-words.ts';
import { ShoalError } from '../../../lib/errors.ts';
import { seededIds } from '../../../lib/ids.ts';
import { seededRng } from '../../../lib/rng.ts';
import {
  Cluster,
  NodeSession,
  NodeState,
  ServiceStatus,
  Task,
  TaskState,
  TaskStatus,
  UpdateState,
  UpdateStatus,
} from '../../../proto/index.ts';
import { NOW_UNIX_MS, shoal } from '../captured-shell.ts';
import { type ControlManager, startControlManager } from '../control-manager.ts';
import { manualClock } from '../manual-clock.ts';
import { makeNode } from '../placement.ts';
import { row, type RowWrite, storeRows } from '../state-rows.ts';
import type { Verbs } from './transcript.ts';

type MessageStream = Parameters<typeof messages>[0];

export async function commandVerbs(): Promise<Verbs> {
  const clock = manualClock(NOW_UNIX_MS);
  const manager = await startControlManager({ ids: seededIds(seededRng(1)), clock });
  const put = async (...rows: readonly RowWrite[]): Promise<void> => {
    await manager.state.reached(await storeRows(manager.store, ...rows), 5000);
  };
  await put(row('cluster', '', Cluster.create({ id: 'c', incarnation: 'first', incarnationNumber: 1 })));
  const run = async (args: readonly string[]): Promise<readonly string[]> => {
    const words = shellWords(args.join(' ')) ?? assert.fail('a quote is not closed');
    const { exitCode, stdout, stderr } = await shoal(words, { manager: manager.address });
    const lines = `${stdout}${stderr}`.replaceAll(manager.address, 'MANAGER').split('\n').filter(Boolean);
    return exitCode === 0 ? lines : [...lines, `exit code ${exitCode}`];
  };
  return {
    stop: () => manager.stop(),
    acts: {
      /** nodes NAME...: ready ones, of hosts host-NAME */
      nodes: (ids) => put(...ids.flatMap((id) => nodeRows(id, NodeState.NODE_READY))),
      down: (ids) => put(...ids.flatMap((id) => nodeRows(id, NodeState.NODE_DOWN))),
      /** tasks SERVICE NODE...: one for each node, of its newest spec */
      tasks: async ([name = '', ...nodeIds]) => {
        const service = [...manager.state.all('services')].find(({ value }) => value.name === name) ?? assert.fail(`no service ${name}`);
        const { id: serviceId, value } = service;
        const desired = TaskState.RUNNING;
        const tasks = nodeIds.map((nodeId, at) =>
          Task.create({ id: `${name}task${at}`, serviceId, specNumber: value.specNumber, slot: at + 1, nodeId, desired }),
        );
        await put(...tasks.map((task) => row('tasks', task.id, task)));
      },
      /** settled SERVICE [STATE]: the leader has seen its newest spec; the state of its update, if one is told of */
      settled: async ([name = '', state]) => {
        const { id, value } =
          [...manager.state.all('services')].find((each) => each.value.name === name) ?? assert.fail(`no service ${name}`);
        const { specNumber, canary } = value;
        const activeSpecNumber = state === 'CANARY' ? (canary?.baseSpecNumber ?? specNumber) : specNumber;
        const update =
          state === undefined
            ? undefined
            : UpdateStatus.create({
                state: UpdateState[state as keyof typeof UpdateState],
                specNumber,
                fromSpecNumber: activeSpecNumber,
                canaryRound: canary?.round ?? 0,
              });
        await put(row('serviceStatus', id, ServiceStatus.create({ serviceId: id, activeSpecNumber, seenSpecNumber: specNumber, update })));
      },
      /** ended TASK...: as its node says it */
      ended: async (ids) => {
        const rows = ids.map((taskId) => {
          const nodeId = manager.state.get('tasks', taskId)?.value.nodeId ?? assert.fail(`no task ${taskId}`);
          return row('taskStatus', taskId, TaskStatus.create({ taskId, nodeId, state: TaskState.SHUTDOWN }));
        });
        await put(...rows);
      },
      /** shoal ARGUMENTS: must go well */
      shoal: async (args) => {
        const lines = await run(args);
        assert.ok(!(lines.at(-1) ?? '').startsWith('exit code'), lines.join('\n'));
      },
    },
    views: {
      /** shoal ARGUMENTS: what it prints, and its exit code where that is not 0 */
      shoal: run,
      /** rpc METHOD JSON-OF-THE-REQUEST: what is refused, field by field; else "taken" */
      rpc: ([method = '', ...json]) => call(manager, method, JSON.parse(json.join(' '), revive)),
      /** Services with the number of their newest spec, and how often the API wrote anything at all. */
      stored: () => [
        ...[...manager.state.all('services')].map(({ value }) => `${value.name}: spec ${value.specNumber}`),
        `${manager.commits} commits`,
      ],
    },
  };
}

function nodeRows(id: string, state: NodeState): readonly RowWrite[] {
  const { node, status } = makeNode({ id, state });
  return [row('nodes', id, node), row('nodeStatus', id, status), row('sessions', id, NodeSession.create({ nodeId: id, nonce: `${id}-1` }))];
}

/** JSON has no NaN and no infinity. */
function revive(_key: string, value: unknown): unknown {
  return value === 'NaN' ? NaN : value === 'Infinity' ? Infinity : value;
}

/** Of a stream only how it begins. */
async function call(manager: ControlManager, method: string, request: unknown): Promise<readonly string[]> {
  const ask = (manager.client as unknown as Readonly<Record<string, (request: unknown) => unknown>>)[method];
  if (ask === undefined) return assert.fail(`no call ${method}`);
  try {
    const answer = ask(request);
    if (answer instanceof Promise) await answer;
    else for await (const _ of messages(answer as MessageStream, manager.address)) break;
    return ['taken'];
  } catch (thrown) {
    const { code, message, fields } = ShoalError.from(thrown);
    return fields.length === 0 ? [`${code}: ${message}`] : [code, ...fields.map((field) => `${field.path}: ${field.message}`)];
  }
}
