// Everything below a prefix at one revision, in pages.
import type { IKeyValue } from 'etcd3/lib/rpc.js';
import { ShoalError } from '../../../lib/errors.ts';
import type { KeyValue, Snapshot } from '../store.ts';
import type { Cluster } from './cluster.ts';
import { keyAfter, type KeySpace, rangeEnd } from './keys.ts';

const PAGE_KEYS = 500;
/** A compaction can only overtake a snapshot that takes minutes. */
const ATTEMPTS = 3;

export async function readSnapshot(cluster: Cluster, keys: KeySpace, prefix: string, signal?: AbortSignal): Promise<Snapshot> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readPages(cluster, keys, prefix, signal);
    } catch (error) {
      // The revision of the first page was compacted while the others were read.
      if (attempt === ATTEMPTS || !(error instanceof ShoalError) || error.code !== 'compacted') throw error;
    }
  }
}

async function readPages(cluster: Cluster, keys: KeySpace, prefix: string, signal?: AbortSignal): Promise<Snapshot> {
  const end = rangeEnd(keys.data(prefix));
  const items: KeyValue[] = [];
  let revision = 0;
  let key = keys.data(prefix);
  for (;;) {
    const request = { key, range_end: end, limit: PAGE_KEYS, revision };
    const page = await cluster.call('snapshot', (endpoint, limits) => endpoint.kv(limits).range(request), signal);
    if (revision === 0) revision = Number(page.header.revision);
    for (const found of page.kvs) items.push(keyValue(keys, found));
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) return { revision, items };
    key = keyAfter(last.key);
  }
}

export function keyValue(keys: KeySpace, found: IKeyValue): KeyValue {
  return {
    key: keys.dataKey(found.key) ?? '',
    value: found.value,
    createRevision: Number(found.create_revision),
    modRevision: Number(found.mod_revision),
  };
}
