// A TCP relay in front of a real server that does to connections what networks do: cuts them, goes mute, is slow, or loses the
// server's answers while its requests arrive.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { systemClock } from '../../lib/clock.ts';
import { ownLoopback } from './sockets.ts';

export interface TcpRelay {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Bytes that came from the server since the start. */
  readonly answeredBytes: number;
  /** Open connections. */
  readonly connections: number;
  /** Connections taken since the start. */
  readonly taken: number;
  /** Breaks every connection at once; new ones are taken. */
  cut(): void;
  /** Breaks every connection when so many more bytes have come from the server, in the middle of whatever it sends then. */
  cutAfterAnswers(bytes: number): void;
  /** From now on nothing is passed on, in either direction, on old and new connections; they stay open. */
  mute(): void;
  /** Answers are thrown away, requests still arrive; the connections stay open. */
  dropAnswers(): void;
  /** Every chunk, in both directions, is held for so long. */
  delay(ms: number): void;
  /** Refuses new connections and cuts the old ones. */
  refuse(): void;
  /** Back to plain relaying; what was swallowed is lost, so connections that lost something are cut. */
  heal(): void;
  stop(): Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  lossy: boolean;
}

type Mode = 'pass' | 'mute' | 'drop-answers' | 'refuse';

export async function startTcpRelay(target: { readonly host: string; readonly port: number }): Promise<TcpRelay> {
  const host = ownLoopback();
  const links = new Set<Link>();
  let mode: Mode = 'pass';
  let delayMs = 0;
  let answeredBytes = 0;
  let taken = 0;
  let cutAt = Infinity;

  const forward = (link: Link, from: Socket, to: Socket, isAnswer: boolean): void => {
    from.on('data', (chunk: Buffer) => {
      if (isAnswer) answeredBytes += chunk.length;
      if (mode === 'mute' || (mode === 'drop-answers' && isAnswer)) {
        link.lossy = true;
        return;
      }
      const over = answeredBytes - cutAt;
      if (over > 0) {
        cutAt = Infinity;
        to.write(chunk.subarray(0, Math.max(0, chunk.length - over)), () => {
          cutWhere(() => true);
        });
        return;
      }
      const pass = (): void => {
        if (to.writable && !to.write(chunk)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      };
      if (delayMs > 0) systemClock.after(delayMs, pass);
      else pass();
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      links.delete(link);
      to.destroy();
    });
  };
  const cutWhere = (condition: (link: Link) => boolean): void => {
    for (const link of links) {
      if (!condition(link)) continue;
      link.client.resetAndDestroy();
      link.server.destroy();
    }
  };

  const listener = createServer((client) => {
    if (mode === 'refuse') {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ host: target.host, port: target.port });
    const link: Link = { client, server, lossy: false };
    links.add(link);
    taken += 1;
    forward(link, client, server, false);
    forward(link, server, client, true);
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen({ host, port: 0 }, resolve);
  });
  const { port } = listener.address() as AddressInfo;

  return {
    host,
    port,
    url: `http://${host}:${port}`,
    get answeredBytes() {
      return answeredBytes;
    },
    get connections() {
      return links.size;
    },
    get taken() {
      return taken;
    },
    cutAfterAnswers: (bytes) => {
      cutAt = answeredBytes + bytes;
    },
    cut: () => {
      cutWhere(() => true);
    },
    mute: () => {
      mode = 'mute';
    },
    dropAnswers: () => {
      mode = 'drop-answers';
    },
    delay: (ms) => {
      delayMs = ms;
    },
    refuse: () => {
      mode = 'refuse';
      cutWhere(() => true);
    },
    heal: () => {
      mode = 'pass';
      delayMs = 0;
      cutWhere((link) => link.lossy);
    },
    stop: () =>
      new Promise((resolve) => {
        cutWhere(() => true);
        listener.close(() => {
          resolve();
        });
      }),
  };
}
