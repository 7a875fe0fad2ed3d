// Read your writes: a client says which revision it has seen, and is answered from a state that is at least there.
import type { Metadata } from '@grpc/grpc-js';
import { ShoalError } from '../../lib/errors.ts';
import type { ClusterState } from '../state/index.ts';

const REVISION_KEY = 'shoal-revision';

/** A manager that is further behind than this is not the one to ask. */
const REACH_DEADLINE_MS = 2000;

/** Resolves once the state has what the client has seen. Rejects with `unavailable` while it is behind, `invalid_argument` for a malformed key. */
export async function reachClientRevision(state: ClusterState, metadata: Metadata): Promise<void> {
  const [text] = metadata.get(REVISION_KEY);
  if (text === undefined) return;
  const revision = Number(text);
  if (!Number.isSafeInteger(revision) || revision < 0) {
    throw new ShoalError(
      'invalid_argument',
      `the metadata key ${REVISION_KEY} holds "${String(text).slice(0, 40)}", which is not a revision`,
    );
  }
  await reachRevision(state, revision);
}

export function reachRevision(state: ClusterState, revision: number): Promise<void> {
  return state.reached(revision, REACH_DEADLINE_MS);
}
