// What people are told of tasks: failures with their reasons, and moves that a node caused.
import { type Event, TaskState } from '../../proto/index.ts';
import type { Pass } from './pass.ts';
import { besideSlotKey, type SlotTasks } from './slot.ts';
import type { TaskInfo } from './task-info.ts';

export function taskEvent(pass: Pass, slot: SlotTasks, info: TaskInfo, action: string, message: string): Event {
  return {
    timeUnixMs: pass.context.wallMs,
    type: 'task',
    action,
    objectId: info.row.id,
    objectName: slotName(pass, slot),
    message,
    attributes: {
      'service.id': pass.serviceId,
      'service.name': pass.service.name,
      ...(info.task.nodeId === '' ? {} : { 'node.id': info.task.nodeId }),
    },
  };
}

/** "web.3" */
export function slotName(pass: Pass, { key }: Pick<SlotTasks, 'key'>): string {
  return `${pass.service.name}.${besideSlotKey(key) ?? key}`;
}

export function serviceEvent(pass: Pass, action: string, message: string): Event {
  const { id, name } = pass.service;
  return { timeUnixMs: pass.context.wallMs, type: 'service', action, objectId: id, objectName: name, message, attributes: {} };
}

/** `failed: exit code 1 (...)`: what the node said of the end of a task. */
export function endReason({ status }: Pick<TaskInfo, 'status'>): string {
  if (status === undefined) return 'ended';
  const verb = status.state === TaskState.REJECTED ? 'was rejected' : status.state === TaskState.COMPLETE ? 'completed' : 'failed';
  const reason = status.error === '' ? status.message : status.error;
  const exitCode = status.exitCode === undefined || status.exitCode === 0 ? '' : `exit code ${status.exitCode}`;
  // Where a node has nothing to say but the code, it says that.
  const code = reason.startsWith(exitCode) ? '' : exitCode;
  const details = [code, reason].filter((part) => part !== '').join(': ');
  return details === '' ? verb : `${verb}: ${details}`;
}
