// A whole manager in this process, over etcd, whose watch and commits a test can hold; everything else is what the manager's own process runs.
import { credentials } from '@grpc/grpc-js';
import { Registry } from 'prom-client';
import { systemClock } from '../../lib/clock.ts';
import { systemIds } from '../../lib/ids.ts';
import { type LogFields, type Logger, silentLogger } from '../../lib/log.ts';
import { systemRng } from '../../lib/rng.ts';
import { type ClientOf, connect } from '../../lib/rpc/index.ts';
import { serveManager } from '../../manager/manager.ts';
import { openStore } from '../../manager/store/index.ts';
import type { CommitResult, Store, Transaction } from '../../manager/store/store.ts';
import { ControlService, GetClusterRequest } from '../../proto/index.ts';
import { until } from './until.ts';
import { watchGate } from './watch-gate.ts';

export interface WholeManager {
  readonly id: string;
  readonly address: string;
  readonly control: ClientOf<typeof ControlService>;
  /** Transactions that it gave to the store, with what came of them (undefined: not known yet). */
  readonly sent: readonly SentTransaction[];
  /** Warnings and errors. */
  readonly problems: readonly string[];
  holdWatch(): void;
  releaseWatch(): void;
  /** Commits for which this answers true wait until `releaseCommits`. */
  holdCommits(which: (transaction: Transaction) => boolean): void;
  releaseCommits(): void;
  leads(): Promise<boolean>;
  stop(): Promise<void>;
}

export interface SentTransaction {
  readonly transaction: Transaction;
  result: CommitResult | undefined;
  error: unknown;
}

export interface WholeManagerOptions {
  readonly etcdUrl: string;
  readonly prefix: string;
  /** From its first snapshot on. */
  readonly lagging?: boolean;
}

const START_MS = 20_000;

export async function openTestStore(etcdUrl: string, prefix: string): Promise<Store> {
  return openStore({ driver: 'etcd', endpoints: [etcdUrl], prefix, clock: systemClock, rng: systemRng, log: silentLogger });
}

export async function startWholeManager(options: WholeManagerOptions): Promise<WholeManager> {
  const id = systemIds.next();
  const inner = await openTestStore(options.etcdUrl, options.prefix);
  const gate = watchGate();
  const sent: SentTransaction[] = [];
  const problems: string[] = [];
  let isHeld: (transaction: Transaction) => boolean = () => false;
  let released = Promise.resolve();
  let release = (): void => undefined;

  const store: Store = {
    ...inner,
    watch: (prefix, from, signal) => gate.through(inner.watch(prefix, from, signal)),
    async commit(transaction, signal) {
      const entry: SentTransaction = { transaction, result: undefined, error: undefined };
      sent.push(entry);
      // Without its signal: it is on its way, and whoever sent it cannot call it back.
      const held = isHeld(transaction);
      if (held) await released;
      try {
        entry.result = await inner.commit(transaction, held ? undefined : signal);
        return entry.result;
      } catch (error) {
        entry.error = error;
        throw error;
      }
    },
  };
  const ending = new AbortController();
  let address = '';
  if (options.lagging === true) gate.hold();
  const serving = serveManager(
    {
      ...{ store, managerId: id, clock: systemClock, rng: systemRng, ids: systemIds, log: problemLog(problems), metrics: new Registry() },
      ...{ listen: { host: '127.0.0.1', port: 0 }, advertise: undefined, insecureRegistries: [] },
      onServing: (at) => {
        address = at;
      },
    },
    ending.signal,
  );
  serving.catch((error: unknown) => problems.push(String(error)));
  await until(
    () => address !== '',
    () => `the manager serves; ${problems.join('; ')}`,
    START_MS,
  );
  const connection = connect(address, credentials.createInsecure());
  const control = connection.client(ControlService);
  const manager: WholeManager = {
    ...{ id, address, control, sent, problems },
    holdWatch: gate.hold,
    releaseWatch: gate.release,
    holdCommits(which) {
      isHeld = which;
      released = new Promise((resolve) => {
        release = resolve;
      });
    },
    releaseCommits() {
      isHeld = () => false;
      release();
    },
    async leads() {
      return (await control.getCluster(GetClusterRequest.create({}))).leaderId === id;
    },
    async stop() {
      manager.releaseCommits();
      gate.release();
      connection.close();
      ending.abort();
      await serving.catch(() => undefined);
      await inner.close();
    },
  };
  return manager;
}

function problemLog(problems: string[]): Logger {
  const note = (message: string, fields?: LogFields): void => {
    problems.push(`${message} ${JSON.stringify(fields ?? {})}`);
  };
  const log: Logger = { ...silentLogger, warn: note, error: note, child: () => log };
  return log;
}
