// What Node's own strict parser makes of bytes, in the same form as what the mesh makes of them, so that the two can be compared.
import { createServer, type IncomingMessage, request } from 'node:http';
import { Duplex } from 'node:stream';

/** A request or an answer, as far as it came. */
export interface Message {
  /** "GET /path 1", or "200 OK 1". */
  readonly start: string;
  /** Name (lower case), value, ... */
  readonly fields: readonly string[];
  /** latin1 */
  body: string;
  trailers: readonly string[];
  whole: boolean;
}

const MAX_HEAD_BYTES = 65_536;

/** The requests in the pieces, until one is refused. */
export async function requestsByNode(pieces: readonly Buffer[]): Promise<readonly Message[]> {
  const messages: Message[] = [];
  const server = createServer({ maxHeaderSize: MAX_HEAD_BYTES, insecureHTTPParser: false });
  server.maxHeadersCount = 0;
  const take = (req: IncomingMessage): void => {
    messages.push(collect(req, `${req.method ?? ''} ${req.url ?? ''} ${String(req.httpVersionMinor)}`));
  };
  server.on('request', take);
  server.on('checkContinue', take);
  server.on('checkExpectation', take);
  server.on('clientError', (_error, socket) => socket.destroy());
  const socket = fakeSocket();
  server.emit('connection', socket);
  await feed(socket, pieces);
  socket.destroy();
  return messages;
}

/** The answer to a request of this method; undefined: refused before its head was whole. */
export async function answerByNode(method: string, pieces: readonly Buffer[]): Promise<Message | undefined> {
  let message: Message | undefined;
  const socket = fakeSocket();
  const req = request({
    method,
    createConnection: () => socket,
    maxHeaderSize: MAX_HEAD_BYTES,
    insecureHTTPParser: false,
  });
  req.maxHeadersCount = 0;
  req.on('error', () => undefined);
  req.on('response', (answer) => {
    message = collect(answer, `${String(answer.statusCode)} ${answer.statusMessage ?? ''} ${String(answer.httpVersionMinor)}`);
  });
  req.end();
  await feed(socket, pieces);
  socket.push(null);
  await turn();
  await turn();
  socket.destroy();
  return message;
}

function collect(source: IncomingMessage, start: string): Message {
  const message: Message = { start, fields: lowered(source.rawHeaders), body: '', trailers: [], whole: false };
  source.on('data', (piece: Buffer) => {
    message.body += piece.toString('latin1');
  });
  source.on('error', () => undefined);
  source.on('end', () => {
    message.whole = true;
    message.trailers = lowered(source.rawTrailers);
  });
  return message;
}

function lowered(list: readonly string[]): readonly string[] {
  return list.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text));
}

function fakeSocket(): Duplex {
  const socket = new Duplex({
    read: () => undefined,
    write: (_piece, _encoding, done) => {
      done();
    },
  });
  socket.on('error', () => undefined);
  return Object.assign(socket, {
    setTimeout: () => socket,
    setNoDelay: () => socket,
    setKeepAlive: () => socket,
    ref: () => socket,
    unref: () => socket,
  });
}

/** Byte by byte: where one piece has a good message and garbage behind it, Node does not tell of the good one's end. */
async function feed(socket: Duplex, pieces: readonly Buffer[]): Promise<void> {
  for (const byte of Buffer.concat(pieces)) {
    if (socket.destroyed) return;
    socket.push(Buffer.from([byte]));
    await turn();
  }
  await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
