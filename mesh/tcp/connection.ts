// One client connection: finds it a replica that answers, trying the next one before the client notices, and then carries bytes both ways.
// Upholds: nothing is sent twice (once a byte went either way the replica stays); each side's end, reset and slowness reach the other side;
// memory is bounded by the two sockets' own write buffers, for a side that does not drain pauses the other.
import { type Socket } from 'node:net';
import { type Timer } from '../../lib/clock.ts';
import { ProxyProtocol } from '../../proto/index.ts';
import { type Replica } from '../balance/balancer.ts';
import { isReplicasFault } from '../balance/ejection.ts';
import { Search, type SearchField, type Seeker } from '../balance/search.ts';
import { type Ends, proxyHeader } from '../proxy-protocol/header.ts';
import { plainAddress } from '../trusted-sources.ts';
import { type PortCounters } from './counters.ts';
import { type Drains } from '../drains.ts';
import { KEEP_ALIVE_MS } from './limits.ts';
import { connectTo, copyOf } from './sockets.ts';

/** What a connection needs of its published port. */
export interface ConnectionHost extends SearchField {
  readonly drains: Drains;
  readonly counters: PortCounters;
  readonly connectTimeoutMs: number;
  /** What a replica is told of the client before its first byte. */
  readonly proxyProtocol: ProxyProtocol;
  /** It is over. */
  closed(connection: Connection): void;
}

const NOTHING = Buffer.alloc(0);
const NOT_INTRODUCED: Introduction = { ends: undefined, rest: NOTHING };

/** What a trusted source said of the client before its connection. */
export interface Introduction {
  /** Undefined: it speaks for itself. */
  readonly ends: Ends | undefined;
  /** Bytes of the client that came with it. */
  readonly rest: Buffer;
}

export class Connection implements Seeker {
  readonly #host: ConnectionHost;
  readonly #client: Socket;
  readonly #search: Search;
  #upstream: Socket | undefined;
  #replica: Replica | undefined;
  /** A byte, or the client's end, went to the replica, or a byte came from it: it can no longer be changed for another. */
  #touched = false;
  #answered = false;
  #clientEnded = false;
  #replicaEnded = false;
  #clientClosed = false;
  #over = false;
  /** A replica took the connection and ended it in order: if all others fail, that is the answer. */
  #closedEarly = false;
  #timer: Timer | undefined;
  #movedBytes = 0;
  #sweptBytes = -1;
  #quietSinceMs = 0;
  #keepAlive = false;
  readonly #ends: Ends | undefined;
  #rest: Buffer;

  /** `client` is paused; `start` follows. */
  constructor(host: ConnectionHost, client: Socket, introduction: Introduction = NOT_INTRODUCED) {
    this.#host = host;
    this.#client = client;
    this.#search = new Search(host, this);
    this.#ends = introduction.ends;
    this.#rest = introduction.rest;
    client.on('error', () => {
      // The client is gone with a reset: the replica learns it the same way.
      this.#abort(true);
    });
    client.on('end', () => {
      this.#clientEnded = true;
      this.#touched = true;
      this.#endUpstream();
    });
    client.on('drain', () => {
      this.#upstream?.resume();
    });
    client.on('close', (hadError) => {
      this.#clientClosed = true;
      // After an orderly end its last bytes may still be on their way to the replica.
      if (hadError || !this.#clientEnded) this.#dropUpstream(hadError);
      this.#settle();
    });
  }

  start(): void {
    this.#search.next();
  }

  /** The client's bytes. */
  readonly fromClient = (piece: Buffer): boolean => {
    const upstream = this.#upstream;
    if (upstream === undefined) return false;
    this.#touched = true;
    this.#movedBytes += piece.length;
    this.#host.counters.bytesFromClients += piece.length;
    return upstream.write(copyOf(piece));
  };

  /** Closed by the mesh: both sides are reset, or end with a FIN where `politely`. */
  close(politely: boolean): void {
    this.#abort(!politely);
  }

  /** Called every few seconds at most: true where nothing has moved for `idleMs`, or longer than it took to notice. */
  sweep(nowMs: number, idleMs: number): boolean {
    if (this.#sweptBytes !== this.#movedBytes) {
      this.#sweptBytes = this.#movedBytes;
      this.#quietSinceMs = nowMs;
    }
    if (!this.#keepAlive && this.#upstream !== undefined) {
      this.#keepAlive = true;
      this.#client.setKeepAlive(true, KEEP_ALIVE_MS);
      this.#upstream.setKeepAlive(true, KEEP_ALIVE_MS);
    }
    return nowMs - this.#quietSinceMs >= idleMs;
  }

  found(replica: Replica): void {
    const host = this.#host;
    replica.open++;
    host.drains.opened(replica.taskId);
    this.#replica = replica;
    const upstream = connectTo(replica.host, replica.port, (piece) => this.#fromReplica(piece));
    this.#upstream = upstream;
    this.#timer = host.clock.after(host.connectTimeoutMs, () => {
      // A stall of this process is no silence of the replica: what has arrived meanwhile is looked at first.
      setImmediate(() => {
        if (this.#upstream === upstream && upstream.connecting) this.#replicaFailed(true);
      });
    });
    upstream.on('connect', () => {
      this.#timer?.cancel();
      this.#timer = undefined;
      if (this.#upstream !== upstream) return;
      this.#introduce(upstream);
      if (this.#clientEnded) this.#endUpstream();
      else this.#client.resume();
    });
    upstream.on('drain', () => {
      this.#client.resume();
    });
    upstream.on('end', () => {
      if (this.#upstream !== upstream) return;
      if (!this.#touched) {
        this.#closedEarly = true;
        this.#replicaFailed(true);
        return;
      }
      this.#replicaEnded = true;
      // Both have ended and nothing waits to be sent: one close in place of the end and its close.
      if (this.#clientEnded && this.#client.writableLength === 0) this.#client.destroy();
      else this.#client.end();
    });
    upstream.on('error', (error) => {
      if (this.#upstream !== upstream) return;
      if (this.#touched) this.#replicaReset();
      else this.#replicaFailed(isReplicasFault(error));
    });
    upstream.on('close', () => {
      if (this.#upstream === upstream) this.#upstreamClosed();
    });
  }

  /** They do answer, by closing: so does the mesh. */
  settlesFor(): boolean {
    if (this.#closedEarly) this.#abort(false);
    return this.#closedEarly;
  }

  notFound(full: boolean): void {
    if (full) this.#host.counters.overLimit++;
    else this.#host.counters.noReplica++;
    this.#abort(true);
  }

  /** The PROXY header is the mesh's own word: a replica that then breaks off can still be exchanged. */
  #introduce(upstream: Socket): void {
    const { proxyProtocol } = this.#host;
    if (proxyProtocol !== ProxyProtocol.PROXY_PROTOCOL_NONE) {
      const header = proxyHeader(proxyProtocol, this.#ends ?? endsOf(this.#client));
      if (header !== undefined) upstream.write(header);
    }
    if (this.#rest.length === 0) return;
    this.fromClient(this.#rest);
    this.#rest = NOTHING;
  }

  /** Passes the client's end on. */
  #endUpstream(): void {
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    if (this.#replicaEnded && upstream.writableLength === 0) upstream.destroy();
    else upstream.end();
  }

  #fromReplica(piece: Buffer): boolean {
    if (!this.#answered) {
      this.#answered = true;
      this.#touched = true;
      if (this.#replica !== undefined) this.#host.balancer.succeeded(this.#replica);
    }
    this.#movedBytes += piece.length;
    this.#host.counters.bytesToClients += piece.length;
    return this.#client.write(copyOf(piece));
  }

  /** Refused, timed out, or closed before a byte went either way: on to the next one. */
  #replicaFailed(blame: boolean): void {
    const replica = this.#replica;
    this.#client.pause();
    this.#dropUpstream(false);
    this.#host.counters.replicaFailures++;
    this.#host.counters.retries++;
    if (replica === undefined) return;
    if (blame) this.#host.balancer.failed(replica);
    this.#search.passOver(replica);
  }

  /** The replica broke off in the middle: the client gets what came, then a reset. */
  #replicaReset(): void {
    this.#dropUpstream(false);
    if (this.#replicaEnded) {
      // Its answer was whole: only what the client still sends is lost.
      this.#client.destroySoon();
    } else if (this.#client.writableLength === 0) this.#client.resetAndDestroy();
    else {
      this.#client.pause();
      this.#client.write(NOTHING, () => this.#client.resetAndDestroy());
    }
  }

  #upstreamClosed(): void {
    this.#dropUpstream(false);
    // Both its directions are done. The client's last bytes may still be on their way to it.
    if (this.#clientClosed) this.#settle();
    else this.#client.destroySoon();
  }

  #settle(): void {
    this.#search.cancel();
    if (this.#over || !this.#clientClosed || this.#upstream !== undefined) return;
    this.#over = true;
    this.#host.closed(this);
  }

  #abort(reset: boolean): void {
    this.#dropUpstream(reset);
    this.#search.cancel();
    if (this.#client.destroyed) this.#settle();
    else if (reset) this.#client.resetAndDestroy();
    else this.#client.destroy();
  }

  /** Lets go of the replica, and counts it as gone. */
  #dropUpstream(reset: boolean): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const upstream = this.#upstream;
    const replica = this.#replica;
    this.#upstream = undefined;
    this.#replica = undefined;
    if (upstream !== undefined && !upstream.destroyed) {
      if (reset && !upstream.connecting) upstream.resetAndDestroy();
      else upstream.destroy();
    }
    if (replica !== undefined) {
      replica.open--;
      this.#host.drains.closed(replica.taskId);
    }
  }
}

function endsOf(client: Socket): Ends | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = client;
  if (remoteAddress === undefined || remotePort === undefined || localAddress === undefined || localPort === undefined) return undefined;
  return {
    source: { address: plainAddress(remoteAddress), port: remotePort },
    destination: { address: plainAddress(localAddress), port: localPort },
  };
}
