// The connections that the kernel path has mapped, as conntrack knows them: how many there are to an address, and the end of those to an address that is gone.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Readable } from 'node:stream';
import { messageOf } from '../../lib/errors.ts';
import { addressKey, canonicalAddress, CONNECTION_MARK, type Transport } from './rules.ts';
import { type RunTool } from './tools.ts';

/** An address that connections go to, of one transport: "tcp 10.0.0.7 . 8080". */
export function flowKey(transport: Transport, address: string): string {
  return `${transport} ${address}`;
}

export interface Flows {
  /** Which of these (`flowKey`) have a connection that is open. Rejects where conntrack cannot be read. */
  busy(keys: ReadonlySet<string>): Promise<ReadonlySet<string>>;
  /** Forgets the flows to a udp address: their next datagram is a new one's. `host`: canonical. Rejects without the conntrack program. */
  forget(host: string, port: number): Promise<void>;
}

const TABLE = '/proc/net/nf_conntrack';

export function systemFlows(run: RunTool): Flows {
  return {
    async busy(keys) {
      try {
        return await busyIn(createReadStream(TABLE, 'utf8'), keys);
      } catch (error) {
        // Many kernels come without that file.
        const mark = `0x${CONNECTION_MARK.toString(16)}`;
        const text = await run('conntrack', ['-L', '-m', `${mark}/${mark}`]).catch((second: unknown) => {
          throw new Error(`${messageOf(error)}; ${messageOf(second)}`);
        });
        return busyOf(text.split('\n'), keys);
      }
    },
    async forget(host, port) {
      const family = host.includes(':') ? 'ipv6' : 'ipv4';
      await run('conntrack', ['-D', '-f', family, '-p', 'udp', '--reply-src', host, '--reply-port-src', String(port)]).catch(
        (error: unknown) => {
          // Its way of saying that there were none.
          if (!messageOf(error).includes('0 flow entries')) throw error;
        },
      );
    },
  };
}

async function busyIn(stream: Readable, keys: ReadonlySet<string>): Promise<ReadonlySet<string>> {
  const busy = new Set<string>();
  const failed = new Promise<never>((_resolve, reject) => {
    stream.on('error', reject);
  });
  const read = async (): Promise<void> => {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) note(line, keys, busy);
  };
  await Promise.race([read(), failed]);
  return busy;
}

export function busyOf(lines: Iterable<string>, keys: ReadonlySet<string>): ReadonlySet<string> {
  const busy = new Set<string>();
  for (const line of lines) note(line, keys, busy);
  return busy;
}

/** Both sides have said their last word: what is left is the memory of it. */
const ENDED = /\b(?:TIME_WAIT|CLOSE)\b/;

/** A line has the client's addresses first, then those of the answer: its source is the replica. */
function note(line: string, keys: ReadonlySet<string>, busy: Set<string>): void {
  const [, mark = '0'] = /\bmark=(\d+)/.exec(line) ?? [];
  if ((Number(mark) & CONNECTION_MARK) === 0) return;
  const transport = /\b(tcp|udp)\b/.exec(line)?.[1] as Transport | undefined;
  const [, host] = [...line.matchAll(/\bsrc=(\S+)/g)].map((match) => canonicalAddress(match[1] ?? ''));
  const [, port] = [...line.matchAll(/\bsport=(\d+)/g)].map((match) => Number(match[1]));
  if (transport === undefined || host === undefined || port === undefined || ENDED.test(line)) return;
  const key = flowKey(transport, addressKey(host, port));
  if (keys.has(key)) busy.add(key);
}
