// Pure: etcd's watch responses put together to whole revisions.
// A response holds whole revisions in order, unless it says `fragment`: then its last revision may go on in the next one, and is held
// back until that came. The watch covers the driver's own keys as well; their events count as revisions without events.
import type { IEvent } from 'etcd3/lib/rpc.js';
import type { Revision, WatchEvent, WatchMessage } from '../store.ts';
import type { KeySpace } from './keys.ts';
import { keyValue } from './snapshot.ts';

export interface RevisionJoiner {
  /** Everything up to here was handed out. */
  readonly delivered: Revision;
  add(events: readonly IEvent[], fragment: boolean): WatchMessage[];
}

/** Hands out revisions from `fromRevision` on, with the events below `prefix`. */
export function revisionJoiner(keys: KeySpace, prefix: string, fromRevision: Revision): RevisionJoiner {
  let delivered = fromRevision - 1;
  let held: { readonly revision: Revision; readonly events: WatchEvent[] } | undefined;

  return {
    get delivered() {
      return delivered;
    },
    add(events, fragment) {
      const messages: WatchMessage[] = [];
      let told = delivered;
      const release = (): void => {
        if (held === undefined) return;
        delivered = held.revision;
        if (held.events.length > 0) {
          messages.push({ type: 'revision', revision: held.revision, events: held.events });
          told = held.revision;
        }
        held = undefined;
      };
      for (const event of events) {
        const revision = Number(event.kv.mod_revision);
        if (revision <= delivered) continue;
        if (held?.revision !== revision) {
          release();
          held = { revision, events: [] };
        }
        const seen = watchEvent(keys, prefix, event);
        if (seen !== undefined) held.events.push(seen);
      }
      if (!fragment) release();
      // However many revisions of no interest end the response, they make one message.
      if (delivered > told) messages.push({ type: 'progress', revision: delivered });
      return messages;
    },
  };
}

function watchEvent(keys: KeySpace, prefix: string, event: IEvent): WatchEvent | undefined {
  const key = keys.dataKey(event.kv.key);
  if (key?.startsWith(prefix) !== true) return undefined;
  const isDelete = event.type === 'Delete';
  return isDelete ? { type: 'delete', key, modRevision: Number(event.kv.mod_revision) } : { type: 'put', item: keyValue(keys, event.kv) };
}
