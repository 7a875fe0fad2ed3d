// A Docker engine of the tests' own: data, sockets and containerd in a folder, optionally inside a network namespace. Leaves nothing behind.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.ts';

const run = promisify(execFile);

/** The image of a static busybox with all its applets, imported into every test engine. */
export const TEST_IMAGE = 'shoal-test:1';

export interface TestEngineOptions {
  /** A short path (sockets have at most 108 characters); made where it is missing, emptied at the end. */
  readonly directory: string;
  /** A network namespace: its path, or its name under /run/netns. Without one the engine has no bridge and leaves iptables alone. */
  readonly netns?: string;
  /** More arguments for dockerd. */
  readonly args?: readonly string[];
}

export interface TestEngine {
  readonly socketPath: string;
  readonly pid: number;
  /** What dockerd has written so far; for messages of failed tests. */
  log(): string;
  /** kill -9 of dockerd alone: containerd and the containers stay. */
  kill(): Promise<void>;
  /** Starts it again on the same data. */
  restart(): Promise<void>;
  /** SIGSTOP and SIGCONT of dockerd: an engine that accepts and does not answer. */
  freeze(): Promise<void>;
  thaw(): void;
  /** Stops it with all its containers, kills what outlives it, and removes the folder. */
  stop(): Promise<void>;
}

const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 30_000;

export async function startEngine(options: TestEngineOptions): Promise<TestEngine> {
  const { directory } = options;
  mkdirSync(directory, { recursive: true });
  const socketPath = join(directory, 'docker.sock');
  const logPath = join(directory, 'dockerd.log');
  const log = (): string => (existsSync(logPath) ? readFileSync(logPath, 'utf8') : '');
  let daemon = launch(options, socketPath, logPath);
  const ready = (): Promise<void> =>
    until(
      async () => {
        if (hasExited()) throw new Error(`dockerd ended (${String(daemon.exitCode ?? daemon.signalCode)}):\n${log().slice(-4000)}`);
        return await answers(socketPath);
      },
      () => `an engine on ${socketPath}:\n${log().slice(-4000)}`,
      START_DEADLINE_MS,
    );
  const hasExited = (): boolean => daemon.exitCode !== null || daemon.signalCode !== null;
  const exited = (): Promise<void> => until(hasExited, 'the end of dockerd', STOP_DEADLINE_MS);
  const engine: TestEngine = {
    socketPath,
    get pid() {
      return daemon.pid ?? 0;
    },
    log,
    async kill() {
      daemon.kill('SIGKILL');
      await exited();
    },
    async restart() {
      if (!hasExited()) {
        daemon.kill('SIGTERM');
        await exited();
      }
      forgetDead(join(directory, 'pid'));
      forgetDead(join(directory, 'exec', 'containerd', 'containerd.pid'));
      daemon = launch(options, socketPath, logPath);
      await ready();
    },
    async freeze() {
      daemon.kill('SIGSTOP');
      await until(() => isStopped(daemon.pid ?? 0), 'a stopped dockerd', STOP_DEADLINE_MS);
    },
    thaw() {
      daemon.kill('SIGCONT');
    },
    async stop() {
      daemon.kill('SIGCONT');
      daemon.kill('SIGTERM');
      try {
        await exited();
      } catch {
        daemon.kill('SIGKILL');
        await exited();
      }
      await clean(directory);
    },
  };
  try {
    await ready();
    await importTestImage(engine, directory);
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

function launch(options: TestEngineOptions, socketPath: string, logPath: string): ChildProcess {
  const { directory, netns } = options;
  const dockerd = [
    'dockerd',
    ...['--data-root', join(directory, 'data'), '--exec-root', join(directory, 'exec'), '--pidfile', join(directory, 'pid')],
    ...['-H', `unix://${socketPath}`, '--storage-driver', 'overlay2', '--shutdown-timeout', '5'],
    ...(netns === undefined ? ['--bridge', 'none', '--iptables=false', '--ip6tables=false'] : []),
    ...(options.args ?? []),
  ];
  const command = netns === undefined ? dockerd : ['nsenter', `--net=${netns.startsWith('/') ? netns : `/run/netns/${netns}`}`, ...dockerd];
  const output = openSync(logPath, 'a');
  return spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', output, output], detached: true });
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath, () => socket.write('GET /_ping HTTP/1.0\r\n\r\n'));
    socket.on('data', (bytes) => {
      resolve(bytes.toString().includes(' 200 '));
      socket.destroy();
    });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
  });
}

/** docker import of the static busybox with a link for each applet. */
async function importTestImage(engine: TestEngine, directory: string): Promise<void> {
  const host = `unix://${engine.socketPath}`;
  if ((await run('docker', ['-H', host, 'images', '-q', TEST_IMAGE])).stdout.trim() !== '') return;
  const root = join(directory, 'image');
  for (const folder of ['bin', 'etc', 'tmp', 'www', 'proc', 'sys', 'dev']) mkdirSync(join(root, folder), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  if (busybox === undefined) throw new Error('no busybox; install busybox-static');
  copyFileSync(busybox, join(root, 'bin', 'busybox'));
  for (const applet of (await run(busybox, ['--list'])).stdout.trim().split('\n')) {
    if (applet !== 'busybox') linkSync(join(root, 'bin', 'busybox'), join(root, 'bin', applet));
  }
  symlinkSync('/proc/self/mounts', join(root, 'etc', 'mtab'));
  await run('sh', ['-c', 'tar -C "$1" -c . | docker -H "$2" import - "$3"', 'sh', root, host, TEST_IMAGE]);
  rmSync(root, { recursive: true, force: true });
}

/** What outlives a killed dockerd (containerd, its shims, their containers), mounts, and the folder itself. */
async function clean(directory: string): Promise<void> {
  const marker = join(directory, 'exec');
  await until(
    () => {
      const pids = processesNaming(marker);
      for (const pid of pids) killTree(pid);
      return pids.length === 0;
    },
    `the end of the processes of ${marker}`,
    STOP_DEADLINE_MS,
  );
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${directory}/`))
    .reverse();
  for (const mount of mounts) await run('umount', ['-l', mount]).catch(() => undefined);
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}

/** Pids whose command line names the folder; never this process. */
function processesNaming(text: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    const args = readIfThere(`/proc/${name}/cmdline`).split('\0');
    return args.some((arg) => arg === text || arg.startsWith(`${text}/`)) ? [pid] : [];
  });
}

/** The process and its children: a shim's container does not name the folder. */
function killTree(pid: number): void {
  for (const child of readIfThere(`/proc/${String(pid)}/task/${String(pid)}/children`)
    .trim()
    .split(' ')) {
    if (child !== '') killTree(Number(child));
  }
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

/** A pid file whose process is gone, or a zombie that nobody collects: an engine would wait for it for ever. */
function forgetDead(pidFile: string): void {
  const pid = readIfThere(pidFile).trim();
  const stat = pid === '' ? '' : readIfThere(`/proc/${pid}/stat`);
  if (stat === '' || stat.includes(') Z ')) rmSync(pidFile, { force: true });
}

/** Whether every thread has come to the stop signal. */
function isStopped(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((thread) => readIfThere(`/proc/${pid}/task/${thread}/stat`).includes(') T '));
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
