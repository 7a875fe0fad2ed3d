// What a write of a node's status means for people.
import { type Event, NodeState, type NodeStatus } from '../../proto/index.ts';

const STATES: Readonly<Record<NodeState, string>> = {
  [NodeState.NODE_UNKNOWN]: 'unknown',
  [NodeState.NODE_READY]: 'ready',
  [NodeState.NODE_DOWN]: 'down',
  [NodeState.NODE_DISCONNECTED]: 'disconnected',
};

/** Each change with its reason; empty for what nobody has to know, such as a new address. */
export function nodeEvents(before: NodeStatus | undefined, after: NodeStatus, timeUnixMs: number): readonly Event[] {
  const events: Event[] = [];
  const tell = (action: string, message: string, attributes: Readonly<Record<string, string>> = {}): void => {
    const objectName = after.description?.hostname ?? '';
    events.push({ timeUnixMs, type: 'node', action, objectId: after.nodeId, objectName, message, attributes });
  };
  if (after.state !== (before?.state ?? NodeState.NODE_UNKNOWN)) {
    const state = STATES[after.state];
    tell('state', after.message === '' ? state : `${state}: ${after.message}`, {
      state,
      'state.old': STATES[before?.state ?? NodeState.NODE_UNKNOWN],
    });
  }
  const [was, is] = [before?.description?.engine?.trouble, after.description?.engine?.trouble];
  if (was?.reason !== is?.reason)
    tell('engine', is === undefined ? 'its container engine answers again' : `its container engine does not answer: ${is.reason}`);
  if (after.meshUnready !== (before?.meshUnready ?? false)) {
    tell(
      after.meshUnready ? 'mesh_unready' : 'mesh_ready',
      after.meshUnready ? `its mesh does not answer${after.message === '' ? '' : `: ${after.message}`}` : 'its mesh answers again',
    );
  }
  const known = new Set(before?.portProblems.map(({ message }) => message));
  for (const { message, publishedPort } of after.portProblems) {
    if (!known.has(message))
      tell('port', `published port ${String(publishedPort)} is not open: ${message}`, { port: String(publishedPort) });
  }
  return events;
}
