// Run as a process of its own by process.test.ts: starts one task as an agent would, says so, and stays until it is killed.
import { createProcessRuntime } from '../../../agent/runtime/process/index.ts';
import { type TaskContext } from '../../../agent/runtime/runtime.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';

const [, , directory = '', text = ''] = process.argv;
const task = JSON.parse(text) as TaskContext;
const { nodeId, clusterId, dataAddress } = task;
const runtime = createProcessRuntime({ directory, dataAddress, nodeId, clusterId, clock: systemClock, log: silentLogger });
const { signal } = new AbortController();
await runtime.prepare(task, signal);
await runtime.start(task.assignment.taskId, signal);
process.stdout.write('started\n');
await runtime.wait(task.assignment.taskId, signal);
