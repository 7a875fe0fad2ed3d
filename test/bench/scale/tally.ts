// How far the cluster has come, read from the store itself as it changes: counts only, so that reading costs little beside what is measured.
import { parseKey } from '../../../manager/state/keys.ts';
import { TABLE_CODECS } from '../../../manager/state/tables.ts';
import type { LocalServer } from '../../../manager/store/local/server.ts';
import type { WatchEvent } from '../../../manager/store/store.ts';
import { NodeState, TaskState, type UpdateState } from '../../../proto/index.ts';

export class Tally {
  /** Nodes that are READY. */
  readonly ready = new Set<string>();
  /** Progress of the last update, by service. */
  readonly updates = new Map<string, UpdateState>();
  readonly #server: LocalServer;
  /** Tasks that run, with their nodes. */
  readonly #running = new Map<string, string>();
  #onReady = 0;
  #revision: number;

  constructor(server: LocalServer) {
    this.#server = server;
    this.#revision = server.engine.revision;
    server.subscribe(() => {
      this.#catchUp();
    });
  }

  get revision(): number {
    return this.#revision;
  }

  /** Tasks whose nodes say that they run, on nodes that are READY. */
  get running(): number {
    return this.#onReady;
  }

  #catchUp(): void {
    for (;;) {
      const events = this.#server.engine.history.at(this.#revision + 1);
      if (events === undefined) return;
      this.#revision++;
      for (const event of events) this.#take(event);
    }
  }

  #take(event: WatchEvent): void {
    const { table, id } = parseKey(event.type === 'put' ? event.item.key : event.key) ?? {};
    if (id === undefined) return;
    const bytes = event.type === 'put' ? event.item.value : undefined;
    switch (table) {
      case 'nodeStatus':
        this.#noteNode(id, bytes !== undefined && TABLE_CODECS.nodeStatus.decode(bytes).state === NodeState.NODE_READY);
        return;
      case 'taskStatus': {
        const status = bytes && TABLE_CODECS.taskStatus.decode(bytes);
        this.#noteTask(id, status?.state === TaskState.RUNNING ? status.nodeId : undefined);
        return;
      }
      case 'serviceStatus': {
        const update = bytes && TABLE_CODECS.serviceStatus.decode(bytes).update;
        if (update !== undefined) this.updates.set(id, update.state);
        return;
      }
      default:
    }
  }

  #noteNode(nodeId: string, isReady: boolean): void {
    if (isReady === this.ready.has(nodeId)) return;
    if (isReady) this.ready.add(nodeId);
    else this.ready.delete(nodeId);
    for (const on of this.#running.values()) if (on === nodeId) this.#onReady += isReady ? 1 : -1;
  }

  #noteTask(taskId: string, nodeId: string | undefined): void {
    const before = this.#running.get(taskId);
    if (before === nodeId) return;
    if (before !== undefined && this.ready.has(before)) this.#onReady--;
    if (nodeId === undefined) this.#running.delete(taskId);
    else this.#running.set(taskId, nodeId);
    if (nodeId !== undefined && this.ready.has(nodeId)) this.#onReady++;
  }
}
