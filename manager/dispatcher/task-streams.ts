// How the control API reaches a task on its node: the manager asks the agent for a stream, the agent dials it, both sides exchange frames.
// The dispatcher implements it, for its own sessions and through its peers for theirs; the API sees no difference.
import type { OpenStream, TaskStreamDown, TaskStreamUp } from '../../proto/index.ts';

/**
 * Iterated once, by one reader. Yields the frames after `attach`; `end` is the last one. A reader that is slow holds the agent back.
 * Throws `unavailable` where agent or peer go away before `end`. After `close` the iteration just ends.
 */
export interface TaskStream extends AsyncIterable<TaskStreamUp> {
  /** Resolves when there is room for the next frame; rejects with `unavailable` when the stream has ended. */
  send(frame: TaskStreamDown): Promise<void>;
  /** Ends the stream from this side; the agent stops what it was doing for it. May be called again. */
  close(): void;
}

export interface TaskStreams {
  /**
   * Resolves once the agent has attached. `request.streamId` is chosen by the implementation; what the caller set is passed over.
   * Rejects with `unavailable` where no session of the node is in reach or the agent does not attach in time, `cancelled` when the
   * signal aborts. The signal counts until the stream is open; afterwards `close` ends it.
   */
  open(nodeId: string, request: OpenStream, signal: AbortSignal): Promise<TaskStream>;
}
