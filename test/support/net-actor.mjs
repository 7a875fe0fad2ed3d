// Run by net-actor.ts in a network namespace: answers and asks over tcp and udp as it is told. A command is one line of JSON on standard input, its answer
// one on standard output.
import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { clearTimeout, setTimeout } from 'node:timers';

const ANSWER_MS = 2500;
const servers = new Map();
const clients = new Map();
const senders = new Map();

/** Resolves with what `start` gives to its first argument, or with a word for the time being over. */
function within(start) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('ETIMEDOUT'), ANSWER_MS);
    start((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

/** A connection that keeps the lines it gets, and gives them one by one. */
function openClient({ host, port }) {
  const socket = connect({ host, port });
  const client = { socket, lines: [], waiting: undefined, failed: undefined };
  const give = (line) => {
    if (client.waiting === undefined) client.lines.push(line);
    else client.waiting(line);
    client.waiting = undefined;
  };
  // It passes errors of the socket on, which are dealt with below.
  createInterface({ input: socket })
    .on('line', give)
    .on('error', () => undefined);
  socket.on('error', (error) => give((client.failed = error.code)));
  socket.on('close', () => give((client.failed ??= 'closed')));
  return client;
}

function nextLine(client) {
  return within((done) => {
    const line = client.lines.shift() ?? client.failed;
    if (line === undefined) client.waiting = done;
    else done(line);
  });
}

const operations = {
  /** Answers each connection with its name and the client's address, then with whatever it is sent; each datagram with the same two. */
  async serve({ port, name }) {
    const sockets = new Set();
    const tcp = createServer((socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => undefined);
      // One that was reset at once has none any more.
      socket.write(`${name} ${(socket.remoteAddress ?? '').replace('::ffff:', '')}\n`);
      socket.pipe(socket);
    });
    const udp = createSocket({ type: 'udp6', reuseAddr: false });
    udp.on('message', (_message, { address, port: to }) => udp.send(`${name} ${address.replace('::ffff:', '')}`, to, address));
    await new Promise((resolve) => tcp.listen({ port, host: '::' }, resolve));
    await new Promise((resolve) => udp.bind(port, '::', resolve));
    servers.set(port, { tcp, udp, sockets });
  },
  async unserve({ port }) {
    const { tcp, udp, sockets } = servers.get(port);
    udp.close();
    tcp.close();
    for (const socket of sockets) socket.destroy();
  },
  /** First lines of so many connections, one after the other. */
  async ask({ host, port, times }) {
    const answers = [];
    for (let turn = 0; turn < times; turn++) {
      const client = openClient({ host, port });
      answers.push(await nextLine(client));
      client.socket.destroy();
    }
    return answers;
  },
  async open({ key, host, port }) {
    const client = openClient({ host, port });
    clients.set(key, client);
    return nextLine(client);
  },
  async say({ key, text }) {
    const client = clients.get(key);
    client.socket.write(`${text}\n`);
    return nextLine(client);
  },
  async close({ key }) {
    clients.get(key).socket.end();
    clients.delete(key);
  },
  /** The answer to one datagram; those of one key are one flow. */
  async datagram({ key, host, port }) {
    const socket = senders.get(key) ?? createSocket(host.includes(':') ? 'udp6' : 'udp4');
    senders.set(key, socket);
    socket.removeAllListeners('message');
    return within((done) => {
      socket.once('message', (message) => done(message.toString()));
      socket.send('?', port, host);
    });
  },
};

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, operation, ...rest } = JSON.parse(line);
    try {
      process.stdout.write(`${JSON.stringify({ id, value: (await operations[operation](rest)) ?? null })}\n`);
    } catch (error) {
      process.stdout.write(`${JSON.stringify({ id, error: String(error) })}\n`);
    }
  })
  .on('close', () => process.exit(0));
