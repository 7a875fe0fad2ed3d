// The etcd driver: see lanes.ts for exactly-once writes, revisions.ts and watch.ts for watches without gap or repeat,
// ../held-lease.ts for leases that end here before they end there.
import { credentials as grpcCredentials } from '@grpc/grpc-js';
import { anySignal } from '../../../lib/any-signal.ts';
import type { Clock } from '../../../lib/clock.ts';
import { ShoalError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Rng } from '../../../lib/rng.ts';
import type { HeldLease } from '../held-lease.ts';
import { STORE_LIMITS } from '../limits.ts';
import type { Revision, Store } from '../store.ts';
import { CALL_TIMES, type CallTimes, Cluster } from './cluster.ts';
import { committer } from './commit.ts';
import { Endpoint, type EtcdAuth } from './endpoint.ts';
import { EtcdFailure } from './failure.ts';
import { keySpace } from './keys.ts';
import { Lanes } from './lanes.ts';
import { grantLease } from './lease.ts';
import { readSnapshot } from './snapshot.ts';
import { watchEtcd } from './watch.ts';

export interface EtcdTls {
  /** PEM. Without one, the system's roots. */
  readonly rootCertificates?: Buffer;
  /** PEM, both or none. */
  readonly privateKey?: Buffer;
  readonly certificate?: Buffer;
}

export interface EtcdStoreOptions {
  /** http:// or https:// URLs of the members, all of one kind. */
  readonly endpoints: readonly string[];
  /** Begins every key of this cluster; ends with a slash. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly auth?: EtcdAuth;
  readonly tls?: EtcdTls;
  /** How long to wait for a member to answer at the start, in ms. Default 10 s. */
  readonly startMs?: number;
  /** How long a call may take. Writes that end by it after they were sent have an unknown outcome. */
  readonly times?: CallTimes;
}

const START_MS = 10_000;
/** The first with progress requests, which tell a mute member from one with nothing to say. */
const OLDEST_VERSION = { major: 3, minor: 4 };

/** Throws `unavailable` when no member answers, `failed_precondition` for one that is too old, `invalid_argument` for bad options. */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<Store> {
  checkOptions(options);
  const { clock, rng, log } = options;
  const credentials = channelCredentials(options);
  const endpoints = options.endpoints.map((url) => new Endpoint(url, clock, credentials, options.auth));
  const cluster = new Cluster({ endpoints, clock, rng, log, ...(options.times ?? CALL_TIMES) });
  try {
    await checkVersion(cluster, options.startMs ?? START_MS);
  } catch (error) {
    cluster.close();
    throw error;
  }
  return storeOver(cluster, options);
}

function storeOver(cluster: Cluster, options: EtcdStoreOptions): Store {
  const { clock, rng, log } = options;
  const keys = keySpace(options.prefix);
  const leaseContext = { cluster, clock, rng, log };
  const leases = new Set<HeldLease>();
  const ended = new AbortController();
  const lanes = new Lanes({ keys, clock, grant: (ttlMs) => grantLease(leaseContext, ttlMs) });
  const commit = committer({ cluster, lanes, keys, clock, rng });
  const nudge = (): Promise<unknown> => commit({ compare: [], ops: [] });

  return {
    driver: 'etcd',
    limits: STORE_LIMITS,
    snapshot: (prefix, signal) => readSnapshot(cluster, keys, prefix, signal),
    watch: (prefix, fromRevision, signal) =>
      watchEtcd({ cluster, keys, clock, rng, log, nudge }, prefix, fromRevision, anySignal([signal, ended.signal])),
    commit,
    async lease(ttlMs, signal) {
      const lease = await grantLease(leaseContext, ttlMs, signal);
      leases.add(lease);
      lease.lost.addEventListener('abort', () => leases.delete(lease), { once: true });
      return lease;
    },
    compact: (revision) => compact(cluster, revision),
    reachable: () => cluster.reachable,
    close() {
      ended.abort();
      for (const lease of [...leases]) lease.abandon();
      lanes.close();
      cluster.close();
      return Promise.resolve();
    },
  };
}

/** One revision less than asked for: etcd may drop deletions of the revision that it compacts to. */
async function compact(cluster: Cluster, revision: Revision): Promise<void> {
  if (revision <= 1) return;
  await cluster.call('compact', async (endpoint, limits) => {
    try {
      await endpoint.kv(limits).compact({ revision: revision - 1 });
    } catch (error) {
      // It was compacted that far before.
      if (!(error instanceof EtcdFailure && error.kind === 'compacted')) throw error;
    }
  });
}

async function checkVersion(cluster: Cluster, startMs: number): Promise<void> {
  const { version } = await cluster.call(
    'connecting to etcd',
    (endpoint, limits) => endpoint.maintenance(limits).status(),
    undefined,
    startMs,
  );
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > OLDEST_VERSION.major || (major === OLDEST_VERSION.major && minor >= OLDEST_VERSION.minor)) return;
  throw new ShoalError(
    'failed_precondition',
    `etcd at ${cluster.current().url} has version ${version}; Shoal needs 3.4 or newer. Upgrade it`,
  );
}

function checkOptions(options: EtcdStoreOptions): void {
  const problems: { path: string; message: string }[] = [];
  if (options.endpoints.length === 0) problems.push({ path: 'endpoints', message: 'none given' });
  for (const url of options.endpoints) {
    if (!/^https?:\/\/[^\s/]+$/.test(url))
      problems.push({ path: 'endpoints', message: `"${url}" is not a URL such as http://10.0.0.1:2379` });
  }
  const secure = options.endpoints.filter((url) => url.startsWith('https:')).length;
  if (secure !== 0 && secure !== options.endpoints.length) problems.push({ path: 'endpoints', message: 'some are http and some https' });
  if (!options.prefix.endsWith('/')) problems.push({ path: 'prefix', message: `"${options.prefix}" does not end with a slash` });
  if ((options.tls?.privateKey === undefined) !== (options.tls?.certificate === undefined)) {
    problems.push({ path: 'tls', message: 'a private key and a certificate come together' });
  }
  if (problems.length > 0) throw ShoalError.invalid('etcd', problems);
}

function channelCredentials(options: EtcdStoreOptions): ReturnType<typeof grpcCredentials.createInsecure> {
  if (options.endpoints[0]?.startsWith('https:') !== true) return grpcCredentials.createInsecure();
  const { rootCertificates = null, privateKey = null, certificate = null } = options.tls ?? {};
  return grpcCredentials.createSsl(rootCertificates, privateKey, certificate);
}
