// How listening sockets get from one mesh process to the next: as file descriptors that a child inherits, in a known order, and their names in its environment.
import { type OpenSocket, type SocketKind } from './book.ts';

/** 0 to 2 are the standard ones; 3 is the line between the two processes. */
export const LINE_FD = 3;
const FIRST_FD = 4;
const SOCKETS = 'SHOAL_MESH_SOCKETS_';
const PREDECESSOR = 'SHOAL_MESH_PREDECESSOR';
/** The kernel takes 128 KiB for one variable. */
const MAX_VARIABLE_LENGTH = 100_000;

/** What a process was started with. */
export interface Inheritance {
  readonly sockets: readonly OpenSocket[];
  /** The line leads to the mesh that serves until now. */
  readonly fromLiving: boolean;
}

/** For the `stdio` (after the line) and the `env` of the child. `fromLiving`: this process is to be succeeded, not only replaced when it is dead. */
export function passingOn(
  sockets: readonly OpenSocket[],
  fromLiving: boolean,
): { readonly fds: readonly number[]; readonly env: Readonly<Record<string, string>> } {
  const texts: string[] = [''];
  for (const { kind, address, port } of sockets) {
    if ((texts.at(-1)?.length ?? 0) > MAX_VARIABLE_LENGTH) texts.push('');
    texts.push(`${texts.pop() ?? ''}${kind} ${address} ${String(port)},`);
  }
  const env = Object.fromEntries(texts.map((text, index) => [`${SOCKETS}${String(index)}`, text]));
  return { fds: sockets.map(({ fd }) => fd), env: fromLiving ? { ...env, [PREDECESSOR]: '1' } : env };
}

/** Takes its variables out of `env`, since they are this process's alone. */
export function takeInheritance(env: Record<string, string | undefined>): Inheritance {
  const texts: string[] = [];
  for (let text = env[`${SOCKETS}0`]; text !== undefined; text = env[`${SOCKETS}${String(texts.length)}`]) texts.push(text);
  const fromLiving = env[PREDECESSOR] !== undefined;
  for (const name of Object.keys(env)) {
    if (name.startsWith(SOCKETS) || name === PREDECESSOR) Reflect.deleteProperty(env, name);
  }
  const entries = texts.join('').split(',').slice(0, -1);
  const sockets = entries.map((entry, index) => {
    const [kind = '', address = '', port = ''] = entry.split(' ');
    return { kind: kind as SocketKind, address, port: Number(port), fd: FIRST_FD + index };
  });
  return { sockets, fromLiving };
}
