// Runs suites: two at a time where both allow it, each with its output in one piece.
import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { clearTimeout, setTimeout } from 'node:timers';

const root = dirname(dirname(import.meta.dirname));

/** A suite that takes this long hangs. */
const TIMEOUT_MS = 15 * 60_000;
const AT_ONCE = 2;

/** Begins them in order. Resolves to the names of those that failed. A signal to this process ends it and all of them. */
export async function runSuites(suites, env) {
  const failed = [];
  const running = new Map();
  const children = new Set();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      for (const child of children) endGroup(child, signal);
      process.exit(1);
    });
  }
  for (const suite of suites) {
    const most = suite.besides === true ? AT_ONCE : 1;
    while (running.size >= most) await Promise.race(running.values());
    const run = runSuite(suite, env, children).then((ok) => {
      running.delete(suite.name);
      if (!ok) failed.push(suite.name);
    });
    running.set(suite.name, run);
    if (suite.besides !== true) await run;
  }
  await Promise.all(running.values());
  return failed;
}

/** Resolves to whether it passed. */
async function runSuite({ name, command, besides }, env, children) {
  const started = performance.now();
  const child = spawn(process.execPath, command, {
    cwd: root,
    stdio: besides === true ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
    // With what it starts a group of its own: Mocha runs in a child of its command.
    detached: true,
  });
  children.add(child);
  const timer = setTimeout(() => endGroup(child, 'SIGKILL'), TIMEOUT_MS);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text) => (output += text));
  const ok = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code === 0));
  });
  clearTimeout(timer);
  children.delete(child);
  process.stdout.write(`${output}${ok ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`);
  return ok;
}

function endGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}
