// Takes sessions/<node> for an agent: who may, and only once this manager's state is at least as new as what the agent has applied.
import type { Clock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { Ids } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import {
  type Cluster,
  type Epoch,
  type Event,
  Node,
  NodeRole,
  type NodeSession,
  NodeState,
  type Register,
  Availability,
} from '../../proto/index.ts';
import { type ClusterState, commitTo, keyOf, type Row, TransactionBuilder } from '../state/index.ts';
import type { Store } from '../store/store.ts';
import { catchUpRevision, epochAt, sameHistory, wrongCluster } from './epochs.ts';
import { checkRegister } from './register-check.ts';

export interface RegistrationOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly managerId: string;
  readonly clusterId: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Logger;
  readonly catchUpMs: number;
  /** The node, whose session row names this manager, was heard lately. */
  readonly heardLately: (nodeId: string) => boolean;
  /** False: the agent went away meanwhile; nothing is to be written for it. */
  readonly wanted: () => boolean;
}

export interface Registration {
  readonly kind: 'registered';
  readonly nodeId: string;
  readonly cluster: Cluster;
  /** The session row as this registration wrote it. */
  readonly session: Row<NodeSession>;
}

/** The store says that the node was removed, in the history that the agent follows and at a revision no older than what it applied. */
export interface Removal {
  readonly kind: 'removed';
  readonly nodeId: string;
  readonly epoch: Epoch;
}

const MAX_ATTEMPTS = 6;

/**
 * Throws `invalid_argument` (a message that no agent sends), `permission_denied` (the store has no such node, or has had one whose
 * removal cannot be told in terms of what the agent applied), `failed_precondition` (another cluster; another agent holds the identity),
 * `unavailable` (this manager is behind, or has no store; another may do).
 */
export async function registerNode(options: RegistrationOptions, register: Register): Promise<Registration | Removal> {
  checkRegister(register);
  const cluster = clusterOf(options);
  if (register.clusterId !== '' && register.clusterId !== cluster.id) throw wrongCluster(register.clusterId, cluster.id);
  await options.state.reached(catchUpRevision(cluster, [register.assignments, register.routes]), options.catchUpMs);
  const nodeId = register.nodeId === '' ? sameProcess(options, register) : register.nodeId;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const session = nodeId === undefined ? await createNode(options, register) : await takeSession(options, nodeId, register);
    if (session === 'gone') return removalOf(options, register);
    if (session !== undefined) return { kind: 'registered', nodeId: session.id, cluster, session };
  }
  throw new ShoalError('unavailable', 'the node is being registered elsewhere at the same time; try again');
}

function clusterOf({ state, clusterId }: RegistrationOptions): Cluster {
  const cluster = state.get('cluster', '')?.value;
  if (cluster === undefined)
    throw new ShoalError('unavailable', "this manager has not read the cluster's state yet; try again or try another");
  if (cluster.id !== clusterId)
    throw new ShoalError('unavailable', `this manager was started for cluster ${clusterId}, its store now holds ${cluster.id}; restart it`);
  return cluster;
}

/** The node that this very agent process registered as before, without having heard the answer. */
function sameProcess({ state }: RegistrationOptions, register: Register): string | undefined {
  for (const { value } of state.all('sessions')) {
    if (value.nonce === register.nonce && value.bootId === register.bootId) return value.nodeId;
  }
  return undefined;
}

async function createNode(options: RegistrationOptions, register: Register): Promise<Row<NodeSession> | undefined> {
  const { managerId, ids, clock, log } = options;
  const id = ids.next();
  const spec = { role: NodeRole.WORKER, availability: Availability.ACTIVE, labels: register.labels };
  const node = Node.create({ id, spec, createdUnixMs: clock.wallMs() });
  const builder = new TransactionBuilder()
    .put('nodes', id, node, undefined)
    .put('sessions', id, sessionOf(id, managerId, register), undefined)
    .event(`${String(node.createdUnixMs).padStart(14, '0')}-${id.slice(0, 12)}`, [joined(node, register)]);
  const session = await write(options, builder, id);
  if (session !== undefined) log.info('a new node joined', { node: id, hostname: register.description?.hostname });
  return session;
}

function joined({ id, createdUnixMs }: Node, { description }: Register): Event {
  const objectName = description?.hostname ?? '';
  return {
    timeUnixMs: createdUnixMs,
    type: 'node',
    action: 'create',
    objectId: id,
    objectName,
    message: 'joined the cluster',
    attributes: {},
  };
}

/** Undefined: something changed meanwhile, and this state has seen it. */
async function takeSession(
  options: RegistrationOptions,
  nodeId: string,
  register: Register,
): Promise<Row<NodeSession> | 'gone' | undefined> {
  const { state, managerId } = options;
  const node = state.get('nodes', nodeId);
  if (node === undefined) return (await isStored(options, nodeId)) ? undefined : 'gone';
  const holder = state.get('sessions', nodeId);
  if (holder !== undefined) refuseSecondAgent(options, holder.value, register);
  const builder = new TransactionBuilder()
    .fence('nodes', nodeId, node.createRevision)
    .put('sessions', nodeId, sessionOf(nodeId, managerId, register), holder);
  return await write(options, builder, nodeId);
}

async function write(options: RegistrationOptions, builder: TransactionBuilder, nodeId: string): Promise<Row<NodeSession> | undefined> {
  const { store, state, catchUpMs } = options;
  if (!options.wanted()) throw new ShoalError('cancelled', 'the agent went away while it was being registered');
  const result = await commitTo(store, state, builder);
  // Also of its own commit: what the agent is told then is at least as new as its registration.
  await state.reached(result.revision, catchUpMs);
  if (!result.committed) return undefined;
  const session = state.get('sessions', nodeId);
  // Already taken over by a later registration: that one speaks for the node.
  if (session?.modRevision !== result.revision) throw superseded();
  return session;
}

export function superseded(): ShoalError {
  return new ShoalError('failed_precondition', 'this session was taken over by a newer registration of the same node');
}

export function removed(nodeId: string): ShoalError {
  return new ShoalError(
    'permission_denied',
    `node ${nodeId} was removed from the cluster; to join again as a new node, its agent starts with an empty data folder`,
  );
}

/** Asks the store itself, since this manager's state may only not have the node yet; afterwards the state is as new as the answer. */
async function isStored({ store, state, catchUpMs }: RegistrationOptions, nodeId: string): Promise<boolean> {
  const key = keyOf('nodes', nodeId);
  const { revision, items } = await store.snapshot(key);
  await state.reached(revision, catchUpMs);
  return items.some((item) => item.key === key);
}

/**
 * What to say to the agent of a node that the store does not have. Its tasks are at stake: a store that was emptied or restored lacks nodes
 * too. So only a record of the removal counts, and only in the very history from which the agent took its assignments.
 */
function removalOf(options: RegistrationOptions, { nodeId, assignments }: Register): Removal {
  const { state } = options;
  // Read again: it may be another history than at the start.
  const cluster = clusterOf(options);
  const recorded = state.get('nodes', nodeId) === undefined && state.get('removedNodes', nodeId) !== undefined;
  if (recorded && assignments !== undefined && sameHistory(cluster, assignments) && assignments.revision <= state.revision)
    return { kind: 'removed', nodeId, epoch: epochAt(cluster, state.revision) };
  const why = recorded
    ? 'was removed from the cluster, but follows another history of it than this manager.'
    : "is not in this cluster's store and no removal of it is recorded; was the store emptied, or restored from before the node joined?";
  throw new ShoalError(
    'permission_denied',
    `node ${nodeId} ${why} What it runs runs on. If the node is not to come back, run this agent once with --purge, which ends its ` +
      'tasks and its mesh, and start it with an empty data folder to join as a new node',
  );
}

/** The same boot means that the earlier agent process is this one's predecessor on the same host. */
function refuseSecondAgent(options: RegistrationOptions, holder: NodeSession, register: Register): void {
  if (holder.nonce === register.nonce || (holder.bootId === register.bootId && holder.bootId !== '')) return;
  const { state, managerId, heardLately } = options;
  const ready = state.get('nodeStatus', holder.nodeId)?.value.state === NodeState.NODE_READY;
  const fresh = holder.managerId === managerId ? heardLately(holder.nodeId) : ready;
  if (!fresh) return;
  throw new ShoalError(
    'failed_precondition',
    `another agent with the identity of node ${holder.nodeId} is connected, from another host or another boot; if this host was restarted, it is let in once the other has been silent for some seconds; if its data folder was copied, start it with an empty one`,
  );
}

function sessionOf(nodeId: string, managerId: string, register: Register): NodeSession {
  return { nodeId, managerId, nonce: register.nonce, bootId: register.bootId };
}
