// What the dispatcher counts. The registry is passed in, so that several dispatchers in one process (tests, the simulator) do not meet.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export interface DispatcherMetrics {
  readonly sessions: Gauge;
  readonly registrations: Counter<'result'>;
  readonly heartbeats: Counter;
  /** Statuses by what became of them: accepted, foreign, unknown. */
  readonly statuses: Counter<'result'>;
  /** Rows per committed transaction. */
  readonly batchRows: Histogram;
  /** Rows that wait to be written. */
  readonly waitingRows: Gauge;
  readonly fenced: Counter;
  readonly nodesDown: Counter;
  readonly meshRestarts: Counter;
  readonly eventLoopLag: Histogram;
  readonly taskStreams: Gauge;
}

export function dispatcherMetrics(registry: Registry): DispatcherMetrics {
  const registers = [registry];
  return {
    sessions: new Gauge({ name: 'shoal_dispatcher_sessions', help: 'Agent sessions of this manager', registers }),
    registrations: new Counter({
      name: 'shoal_dispatcher_registrations_total',
      help: 'Registrations by result: ok, or the code of the refusal',
      labelNames: ['result'],
      registers,
    }),
    heartbeats: new Counter({ name: 'shoal_dispatcher_heartbeats_total', help: 'Heartbeats received', registers }),
    statuses: new Counter({
      name: 'shoal_dispatcher_statuses_total',
      help: 'Task statuses received, by what became of them',
      labelNames: ['result'],
      registers,
    }),
    batchRows: new Histogram({
      name: 'shoal_dispatcher_batch_rows',
      help: 'Rows per committed transaction of statuses',
      buckets: [1, 2, 5, 10, 20, 50, 100],
      registers,
    }),
    waitingRows: new Gauge({ name: 'shoal_dispatcher_waiting_rows', help: 'Rows that wait to be written', registers }),
    fenced: new Counter({ name: 'shoal_dispatcher_fenced_total', help: 'Writes dropped because the session was taken over', registers }),
    nodesDown: new Counter({ name: 'shoal_dispatcher_nodes_down_total', help: 'Nodes found silent for too long', registers }),
    meshRestarts: new Counter({
      name: 'shoal_dispatcher_mesh_restarts_total',
      help: 'Restarts asked of meshes that did not acknowledge',
      registers,
    }),
    eventLoopLag: new Histogram({
      name: 'shoal_dispatcher_event_loop_lag_seconds',
      help: 'How late the dispatcher was at each of its ticks',
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
    taskStreams: new Gauge({ name: 'shoal_dispatcher_task_streams', help: 'Open streams of logs and exec towards agents', registers }),
  };
}
