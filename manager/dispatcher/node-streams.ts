// Streams of logs and exec towards any node of the cluster: over its agent's session where that is here, else through the manager that has it.
import { credentials } from '@grpc/grpc-js';
import { ShoalError } from '../../lib/errors.ts';
import { connect } from '../../lib/rpc/index.ts';
import { NodeState, type OpenStream } from '../../proto/index.ts';
import type { DispatcherOptions } from './dispatcher.ts';
import { LocalStreams, type LocalStreamOptions } from './local-streams.ts';
import { PeerStreams } from './peer-streams.ts';
import type { DispatcherSettings } from './settings.ts';
import type { TaskStream } from './task-streams.ts';

export class NodeStreams {
  readonly local: LocalStreams;
  readonly #peers: PeerStreams;
  readonly #options: DispatcherOptions;

  constructor(options: DispatcherOptions, settings: DispatcherSettings, sessions: Pick<LocalStreamOptions, 'ask' | 'onCount'>) {
    const { clock, ids, log } = options;
    this.#options = options;
    this.local = new LocalStreams({ clock, ids, log, attachMs: settings.attachMs, maxPerNode: settings.maxStreamsPerNode, ...sessions });
    this.#peers = new PeerStreams({
      clock,
      attachMs: settings.attachMs,
      idleMs: settings.peerIdleMs,
      connectTo: options.connectTo ?? ((address) => connect(address, credentials.createInsecure())),
    });
  }

  /** `isHere`: its agent has a session with this manager. Errors: `unavailable`, with the reason. */
  async open(nodeId: string, isHere: boolean, request: OpenStream, signal: AbortSignal): Promise<TaskStream> {
    if (isHere) return await this.local.open(nodeId, request, signal);
    const { state, managerId } = this.#options;
    const holder = state.get('sessions', nodeId)?.value.managerId;
    if (holder === undefined) throw new ShoalError('unavailable', `node ${nodeId} has no session with any manager`);
    const down = state.get('nodeStatus', nodeId)?.value.state === NodeState.NODE_DOWN;
    const address = state.get('managers', holder)?.value.address;
    if (holder === managerId || address === undefined) {
      const why = down ? 'it is down' : 'its agent is reconnecting; try again';
      throw new ShoalError('unavailable', `the agent of node ${nodeId} is not connected: ${why}`);
    }
    return await this.#peers.open(address, nodeId, request, signal);
  }

  stop(): void {
    this.local.stop();
    this.#peers.stop();
  }
}
