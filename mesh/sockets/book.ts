// The listening sockets of this mesh, by address and port: those that an earlier mesh has left it, and those that it has open, for the one after it.
import { closeSync } from 'node:fs';

export type SocketKind = 'tcp' | 'udp';

export interface SocketName {
  readonly kind: SocketKind;
  /** As the mesh was told to listen: numeric, or ANY_ADDRESS. */
  readonly address: string;
  readonly port: number;
}

export interface OpenSocket extends SocketName {
  readonly fd: number;
}

export class SocketBook {
  readonly #inherited = new Map<string, number>();
  readonly #open = new Map<string, OpenSocket>();
  /** Something was opened or closed. */
  onChange: (change: 'opened' | 'closed') => void = () => undefined;
  /** Resolves when what was closed here is closed everywhere, and may be opened anew. */
  settled: () => Promise<void> = () => Promise.resolve();

  constructor(inherited: readonly OpenSocket[] = []) {
    for (const socket of inherited) this.#inherited.set(nameOf(socket), socket.fd);
  }

  /** The descriptor that an earlier mesh has left for it, once; it is the caller's then. */
  take(name: SocketName): number | undefined {
    const fd = this.#inherited.get(nameOf(name));
    this.#inherited.delete(nameOf(name));
    return fd;
  }

  /** `fd`: undefined where the system or this Node does not tell. */
  opened(name: SocketName, fd: number | undefined): void {
    if (fd === undefined || fd < 0) return;
    this.#open.set(nameOf(name), { ...name, fd });
    this.onChange('opened');
  }

  /** Just before it is closed. */
  closed(name: SocketName): void {
    if (this.#open.delete(nameOf(name))) this.onChange('closed');
  }

  all(): readonly OpenSocket[] {
    return [...this.#open.values()];
  }

  /** What nobody has taken would let clients wait for ever. */
  closeUntaken(): void {
    for (const fd of this.#inherited.values()) {
      try {
        closeSync(fd);
      } catch {
        // It was none.
      }
    }
    this.#inherited.clear();
  }
}

function nameOf({ kind, address, port }: SocketName): string {
  return `${kind} ${address} ${String(port)}`;
}
