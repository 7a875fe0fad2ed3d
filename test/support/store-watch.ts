// Reads a watch into a list, for tests that ask what came and in which order.
import type { Revision, Store, WatchEvent, WatchMessage } from '../../manager/store/store.ts';
import { until } from './until.ts';

export interface WatchReader {
  readonly messages: readonly WatchMessage[];
  /** Of all `revision` messages, in order. */
  readonly revisions: readonly Revision[];
  /** "put key" or "delete key", in order. */
  readonly changes: readonly string[];
  /** The watch has ended. */
  readonly ended: boolean;
  /** Everything up to this revision has come. */
  reaches(revision: Revision, deadlineMs?: number): Promise<void>;
  /** Ends the watch and waits for that. */
  stop(): Promise<void>;
}

/** `onMessage` may hold the reader up. */
export function readWatch(
  store: Store,
  prefix: string,
  fromRevision: Revision,
  onMessage?: (message: WatchMessage) => Promise<void>,
): WatchReader {
  const controller = new AbortController();
  const messages: WatchMessage[] = [];
  let ended = false;
  const reading = (async () => {
    for await (const message of store.watch(prefix, fromRevision, controller.signal)) {
      messages.push(message);
      await onMessage?.(message);
    }
    ended = true;
  })();
  reading.catch(() => undefined);
  const reached = (): Revision =>
    messages.reduce((highest, message) => (message.type === 'compacted' ? highest : Math.max(highest, message.revision)), 0);
  return {
    messages,
    get revisions() {
      return messages.flatMap((message) => (message.type === 'revision' ? [message.revision] : []));
    },
    get changes() {
      return messages.flatMap((message) => (message.type === 'revision' ? message.events.map(describeEvent) : []));
    },
    get ended() {
      return ended;
    },
    reaches: (revision, deadlineMs) =>
      until(
        () => reached() >= revision,
        () => `the watch is at ${revision}; it is at ${reached()}`,
        deadlineMs,
      ),
    async stop() {
      controller.abort();
      await reading;
    },
  };
}

export function describeEvent(event: WatchEvent): string {
  return event.type === 'put' ? `put ${event.item.key}` : `delete ${event.key}`;
}

export function put(key: string, value = '', leaseId?: string): { type: 'put'; key: string; value: Uint8Array; leaseId?: string } {
  const op = { type: 'put' as const, key, value: Buffer.from(value) };
  return leaseId === undefined ? op : { ...op, leaseId };
}

export function remove(key: string): { type: 'delete'; key: string } {
  return { type: 'delete', key };
}

/** Commits without compares; resolves with the revision. */
export async function write(store: Store, ...ops: readonly (ReturnType<typeof put> | ReturnType<typeof remove>)[]): Promise<Revision> {
  const result = await store.commit({ compare: [], ops });
  return result.revision;
}
