// A client under load: a process on the client host that opens a new connection for each request and keeps count.
import { fileURLToPath } from 'node:url';
import type { Host } from './hosts.ts';
import { until } from './until.ts';

const SCRIPT = fileURLToPath(new URL('load-client.mjs', import.meta.url));

export interface LoadFailure {
  readonly url: string;
  /** "connect" where no connection was had, "request" where it broke later. */
  readonly stage: 'connect' | 'request';
  readonly error: string;
  readonly atMs: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly failures: readonly LoadFailure[];
  /** How often each answer was got. */
  readonly answers: Readonly<Record<string, number>>;
}

export interface Load {
  /** Resolves once so many answers, a multiple of 500, have come. */
  answered(count: number): Promise<void>;
  /** Ends it and gives its counts. */
  stop(): Promise<LoadResult>;
}

/** Requests all URLs in turn, `concurrency` at a time, until stopped. Resolves once the first answer has come. */
export async function startLoad(client: Host, urls: readonly string[], concurrency: number): Promise<Load> {
  const child = client.spawn(process.execPath, [SCRIPT, String(concurrency), ...urls], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await until(() => output.includes('ready\n'), 'a first answer to the load client', 20_000);
  return {
    answered: (count) => until(() => output.includes(`answered ${count}\n`), `${count} answers to the load client`, 60_000),
    async stop() {
      child.stdin?.end();
      await ended;
      const [last = ''] = output.trimEnd().split('\n').slice(-1);
      return JSON.parse(last) as LoadResult;
    },
  };
}
