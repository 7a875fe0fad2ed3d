// The same table as routeTableOf, kept up change by change: only services that a change concerns are looked at again.
import { type PortRoute, type Task, TaskState } from '../../proto/index.ts';
import type { Change, StateView } from '../state/index.ts';
import type { Revision } from '../store/store.ts';
import { isRouteInput, isStatusInput, mergePorts, portRoutesOf, routeRevision } from './route-table.ts';

export class RouteIndex {
  readonly #state: StateView;
  readonly #byService = new Map<string, readonly PortRoute[]>();
  readonly #dirty = new Set<string>();
  readonly #draining = new Set<string>();
  #ports: readonly PortRoute[] = [];
  #revision: Revision;

  /** Reads the whole state once. */
  constructor(state: StateView) {
    this.#state = state;
    this.#revision = routeRevision(state);
    for (const { id } of state.all('services')) this.#dirty.add(id);
    for (const { value } of state.all('tasks')) this.#seeDrain(value.id, value);
  }

  /** Revision of the last change to the inputs; the state must have reached it before the table may be called by it. */
  get revision(): Revision {
    return this.#revision;
  }

  /** Tasks that are drained and not yet told to stop: the leader waits for acknowledgements. */
  get draining(): ReadonlySet<string> {
    return this.#draining;
  }

  /** All ports in order. The same objects as before where nothing changed. */
  ports(): readonly PortRoute[] {
    if (this.#dirty.size === 0) return this.#ports;
    for (const serviceId of this.#dirty) {
      const routes = portRoutesOf(this.#state, serviceId);
      if (routes.length > 0) this.#byService.set(serviceId, routes);
      else this.#byService.delete(serviceId);
    }
    this.#dirty.clear();
    this.#ports = mergePorts(this.#byService);
    return this.#ports;
  }

  apply(changes: readonly Change[]): void {
    for (const change of changes) this.#apply(change);
  }

  #apply(change: Change): void {
    switch (change.table) {
      case 'services':
        this.#dirty.add(change.id);
        this.#see(change.after?.modRevision);
        return;
      case 'specs':
        this.#dirty.add(change.id.slice(0, change.id.indexOf('/')));
        return;
      case 'tasks':
        this.#applyTask(change.id, change.before?.value, change.after?.value, change.after?.modRevision);
        return;
      case 'taskStatus': {
        const task = this.#state.get('tasks', change.id)?.value;
        if (task === undefined || !isRouteInput(this.#state, task)) return;
        this.#dirty.add(task.serviceId);
        this.#see(change.after?.modRevision);
        return;
      }
      case 'nodes':
      case 'nodeStatus':
        this.#see(change.after?.modRevision);
        if (change.table === 'nodeStatus' && change.before?.value.state === change.after?.value.state) return;
        for (const { value } of this.#state.tasksOfNode(change.id)) this.#dirty.add(value.serviceId);
        return;
      case 'routeFloor':
        this.#see(change.after?.modRevision);
        return;
      case 'serviceStatus':
        this.#dirty.add(change.id);
        if (isStatusInput(this.#state, change.id)) this.#see(change.after?.modRevision);
        return;
      case 'cluster':
      case 'rebalance':
      case 'slots':
      case 'sessions':
      case 'removedNodes':
      case 'routeAcks':
      case 'byName':
      case 'byPort':
      case 'managers':
      case 'leader':
      case 'nodeWatch':
      case 'events':
      case 'eventFloor':
        return;
    }
  }

  #applyTask(id: string, before: Task | undefined, after: Task | undefined, modRevision: Revision | undefined): void {
    this.#seeDrain(id, after);
    if (before !== undefined) this.#dirty.add(before.serviceId);
    if (after === undefined) return;
    this.#dirty.add(after.serviceId);
    if (isRouteInput(this.#state, after)) this.#see(modRevision);
  }

  #seeDrain(id: string, task: Task | undefined): void {
    if (task !== undefined && task.drain && task.desired <= TaskState.COMPLETE) this.#draining.add(id);
    else this.#draining.delete(id);
  }

  #see(revision: Revision | undefined): void {
    if (revision !== undefined && revision > this.#revision) this.#revision = revision;
  }
}
