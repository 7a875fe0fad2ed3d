// How datagram sockets are made: every address is numeric, so nothing is looked up, and a send or bind is done when its call returns.
import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { isIPv6 } from 'node:net';

export type Family = 'udp4' | 'udp6';

export function familyOf(address: string): Family {
  return isIPv6(address) ? 'udp6' : 'udp4';
}

/** `receiveBufferBytes`: 0 for the system's default. */
export function newSocket(family: Family, receiveBufferBytes = 0): Socket {
  return createSocket({
    type: family,
    lookup: numeric,
    ...(receiveBufferBytes > 0 ? { recvBufferSize: receiveBufferBytes } : {}),
  });
}

/** Undefined: it is bound. Failures after that come as events, and are passed over here: they are those of single datagrams. */
export function bindNow(socket: Socket, address: string, port: number): Error | undefined {
  const errors: Error[] = [];
  socket.on('error', (error) => {
    if (errors.length === 0) errors.push(error);
  });
  socket.bind({ address, port, exclusive: true });
  return errors[0];
}

/** As bindNow, for a socket that is bound already. */
export function adoptNow(socket: Socket, fd: number): Error | undefined {
  const errors: Error[] = [];
  socket.on('error', (error) => {
    if (errors.length === 0) errors.push(error);
  });
  socket.bind({ fd, exclusive: true });
  return errors[0];
}

/** Undefined where this Node does not tell. */
export function descriptorOf(socket: Socket): number | undefined {
  const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const { handle } = (state === undefined ? {} : Reflect.get(socket, state)) as { readonly handle?: { readonly fd?: number } };
  return handle?.fd;
}

type Lookup = NonNullable<SocketOptions['lookup']>;

/** Node calls it with the family where its type has the options. */
const numeric: Lookup = (address, options: unknown, callback) => {
  callback(null, address, typeof options === 'number' ? options : 0);
};
