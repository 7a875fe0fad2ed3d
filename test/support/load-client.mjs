// Run by load.ts on the client host: node load-client.mjs CONCURRENCY URL... ; makes requests until its standard input ends, or too many have
// failed; then prints its counts.
import { Agent, get } from 'node:http';

const [concurrency, ...urls] = process.argv.slice(2);
const REQUEST_TIMEOUT_MS = 15_000;
const MAX_FAILURES = 1000;
/** Answers. */
const TOLD_EVERY = 500;

const counts = { requests: 0, failures: [], answers: {} };
let turn = 0;
let stopping = false;
let ready = false;
let answered = 0;

function request(url) {
  return new Promise((resolve) => {
    let connected = false;
    const fail = (error) => {
      if (counts.failures.length < MAX_FAILURES) {
        counts.failures.push({
          url,
          stage: connected ? 'request' : 'connect',
          error: error.code ?? error.message,
          atMs: Math.round(performance.now()),
        });
      }
      resolve();
    };
    const call = get(url, { agent: new Agent({ keepAlive: false }), timeout: REQUEST_TIMEOUT_MS }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (body += chunk));
      response.on('error', fail);
      response.on('end', () => {
        const answer = `${response.statusCode} ${body.trim()}`;
        counts.answers[answer] = (counts.answers[answer] ?? 0) + 1;
        if (++answered % TOLD_EVERY === 0) process.stdout.write(`answered ${answered}\n`);
        if (!ready) process.stdout.write('ready\n');
        ready = true;
        resolve();
      });
    });
    call.on('socket', (socket) => socket.on('connect', () => (connected = true)));
    call.on('timeout', () => call.destroy(new Error('timeout')));
    call.on('error', fail);
  });
}

async function worker() {
  while (!stopping && counts.failures.length < MAX_FAILURES) {
    counts.requests++;
    await request(urls[turn++ % urls.length]);
  }
}

process.stdin.resume();
process.stdin.on('end', () => (stopping = true));
const ended = new Promise((resolve) => process.stdin.on('end', resolve));
await Promise.all(Array.from({ length: Number(concurrency) }, worker));
await ended;
process.stdout.write(`${JSON.stringify(counts)}\n`);
process.exit(0);
