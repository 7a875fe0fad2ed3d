import assert from 'node:assert/strict';
import { statusOutbox, type StatusOutbox } from '../../../agent/session/status-outbox.ts';
import { type Uplink, uplink } from '../../../agent/session/uplink.ts';
import type { Session } from '../../../agent/session/session.ts';
import { type AgentMessage, NodeDescription, type RouteReport, TaskState, TaskStatus } from '../../../proto/index.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

const status = (taskId: string, state: TaskState = TaskState.RUNNING): TaskStatus => TaskStatus.create({ taskId, state });
const REPORT: RouteReport = { ack: undefined, idleTaskIds: [], portProblems: [], meshUp: true };

describe('uplink', () => {
  let clock: ManualClock;
  let outbox: StatusOutbox;
  let up: Uplink;
  let sent: string[];
  /** How many messages the stream still takes. */
  let room: number;
  let all: readonly TaskStatus[];

  beforeEach(() => {
    clock = manualClock();
    outbox = statusOutbox();
    sent = [];
    room = 100;
    all = [];
    const session = { writable: () => room > 0 } as Session;
    const send = ({ message }: AgentMessage): boolean => {
      room--;
      if (message?.case === 'statuses') {
        const { complete, statuses } = message.value;
        sent.push(`${complete ? 'all' : 'some'}: ${statuses.map(({ taskId, state }) => `${taskId}=${state}`).join(' ')}`);
      } else sent.push(message?.case ?? '');
      return room > 0;
    };
    up = uplink(
      { session: () => session, send },
      { statuses: () => outbox.take(() => all), routes: () => REPORT, description: () => NodeDescription.create() },
      clock,
    );
  });

  const put = (taskId: string, state?: TaskState): void => {
    outbox.put(status(taskId, state));
    up.statusesChanged();
  };
  const begun = (): void => {
    up.restart();
    clock.advance(0);
    sent.length = 0;
    clock.advance(1000);
  };

  it('begins a session with all statuses and the route report', () => {
    all = [status('t1'), status('t2')];
    outbox.put(status('t1'));
    up.restart();
    clock.advance(0);
    assert.deepEqual(sent, ['all: t1=7 t2=7', 'routes']);
  });

  it('sends a lone change at once, and those that follow it closely together, the latest of each task', () => {
    begun();
    put('t1');
    clock.advance(0);
    assert.deepEqual(sent, ['some: t1=7']);
    put('t2', TaskState.STARTING);
    put('t3');
    put('t2');
    clock.advance(0);
    assert.equal(sent.length, 1);
    clock.advance(1000);
    assert.deepEqual(sent.slice(1), ['some: t2=7 t3=7']);
  });

  it('writes nothing while the stream takes nothing, and only the latest afterwards', () => {
    begun();
    room = 0;
    put('t1', TaskState.STARTING);
    clock.advance(1000);
    put('t1');
    up.routesChanged();
    clock.advance(1000);
    assert.deepEqual(sent, []);
    room = 100;
    up.pump();
    assert.deepEqual(sent, ['some: t1=7', 'routes']);
  });

  it('stops in the middle when the stream is full', () => {
    begun();
    room = 1;
    put('t1');
    up.routesChanged();
    clock.advance(0);
    assert.deepEqual(sent, ['some: t1=7']);
    room = 1;
    up.pump();
    assert.deepEqual(sent.slice(1), ['routes']);
  });

  it('cuts a long list into several batches', () => {
    begun();
    for (let i = 0; i < 450; i++) outbox.put(status(`t${i}`));
    up.statusesChanged();
    clock.advance(0);
    assert.equal(sent.length, 3);
  });

  it('says nothing of a task that is no longer of this node', () => {
    begun();
    put('t1');
    outbox.forget('t1');
    clock.advance(1000);
    assert.deepEqual(sent, []);
  });

  it('asks for what is missing before anything else', () => {
    begun();
    put('t1');
    up.resync({ routes: true });
    up.descriptionChanged();
    clock.advance(0);
    assert.deepEqual(sent, ['resync', 'some: t1=7', 'description']);
  });
});
