// A process in a network namespace that answers and asks as tests say, where the test's own process has no socket.
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Host } from './hosts.ts';

const SCRIPT = fileURLToPath(new URL('net-actor.mjs', import.meta.url));

export interface NetActor {
  /** Answers on the port, tcp and udp: "NAME ADDRESS", the address as it sees the client's; then echoes (tcp). */
  serve(port: number, name: string): Promise<void>;
  /** Stops that and cuts its connections. */
  unserve(port: number): Promise<void>;
  /** First lines of so many connections in turn; a code such as ECONNREFUSED for one that failed. */
  ask(host: string, port: number, times?: number): Promise<readonly string[]>;
  /** Opens a connection and keeps it; its first line. */
  open(key: string, host: string, port: number): Promise<string>;
  /** The line that comes back on it. */
  say(key: string, text: string): Promise<string>;
  close(key: string): Promise<void>;
  /** The answer to a datagram from a socket of the key's own. */
  datagram(key: string, host: string, port: number): Promise<string>;
  stop(): void;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

export function startActor(host: Pick<Host, 'spawn'>): NetActor {
  const child = host.spawn(process.execPath, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = new Map<number, (answer: Answer) => void>();
  let lastId = 0;
  if (child.stdout === null) throw new Error('an actor without output');
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as Answer;
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  child.once('exit', (code) => {
    for (const [id, answer] of waiting) answer({ id, error: `the actor has ended (${String(code)})` });
    waiting.clear();
  });
  const tell = async <T>(operation: string, rest: object): Promise<T> => {
    const id = ++lastId;
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    child.stdin?.write(`${JSON.stringify({ id, operation, ...rest })}\n`);
    const { value, error } = await answered;
    if (error !== undefined) throw new Error(`${operation}: ${error}`);
    return value as T;
  };
  return {
    serve: (port, name) => tell('serve', { port, name }),
    unserve: (port) => tell('unserve', { port }),
    ask: (target, port, times = 1) => tell('ask', { host: target, port, times }),
    open: (key, target, port) => tell('open', { key, host: target, port }),
    say: (key, text) => tell('say', { key, text }),
    close: (key) => tell('close', { key }),
    datagram: (key, target, port) => tell('datagram', { key, host: target, port }),
    stop: () => child.kill('SIGKILL'),
  };
}
