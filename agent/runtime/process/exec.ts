// A further process beside a task, in its environment and folder. A terminal comes from util-linux' or BSD's `script`.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { constants } from 'node:os';
import { PassThrough, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { messageOf, ShoalError } from '../../../lib/errors.ts';
import { findCommand } from './commands.ts';
import { type ExecOptions, type ExecSession } from '../runtime.ts';
import { type TaskRecord } from './task-folder.ts';

export function startExec(record: TaskRecord, options: ExecOptions, signal: AbortSignal): ExecSession {
  if (options.command.length === 0) throw new ShoalError('invalid_argument', 'no command to execute');
  if (options.user !== '') {
    throw new ShoalError('failed_precondition', `a plain process runs as the agent's user; leave --user ${options.user} out`);
  }
  // As Docker's: programs on a terminal need to know which kind.
  const terminal = options.tty ? { TERM: 'xterm' } : {};
  const env = { ...terminal, ...record.env, ...Object.fromEntries(options.env.map(splitEntry)) };
  const workdir = options.workdir === '' ? record.workdir : options.workdir;
  if (statSync(workdir, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ShoalError('failed_precondition', `the working directory ${workdir} does not exist on this node`);
  }
  const argv = options.tty ? withTerminal(options, env) : options.command;
  const child = spawn(argv[0] ?? '', argv.slice(1), { cwd: workdir, env, stdio: 'pipe', detached: true });
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  signal.addEventListener('abort', kill, { once: true });
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  child.stdout.pipe(stdout);
  child.stderr.pipe(options.tty ? stdout : stderr, { end: !options.tty });
  if (options.tty) stderr.end();
  // The other end may close its input at any time.
  child.stdin.on('error', () => undefined);
  if (!options.stdin) child.stdin.end();
  return {
    stdin: options.stdin ? child.stdin : new Writable({ write: (_chunk, _encoding, done) => done() }),
    stdout,
    stderr,
    resize: async (rows, columns) => {
      if (options.tty) await resizeTerminal(child, rows, columns);
    },
    ended: exitCode(child, stdout, stderr, options.command[0] ?? '').finally(() => signal.removeEventListener('abort', kill)),
    kill,
  };
}

const EXEC_PROBLEMS: Readonly<Record<string, string>> = { ENOENT: 'not found', EACCES: 'permission denied' };

async function exitCode(child: ChildProcessWithoutNullStreams, stdout: PassThrough, stderr: PassThrough, command: string): Promise<number> {
  return await new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      // As a shell would say it, and with its exit codes.
      stderr.end(`${command}: ${EXEC_PROBLEMS[error.code ?? ''] ?? error.message}\n`);
      stdout.end();
      resolve(error.code === 'ENOENT' ? 127 : 126);
    });
    child.once('close', (code, by) => resolve(code ?? 128 + (by === null ? 0 : constants.signals[by])));
  });
}

/** `script` runs the command on a terminal of its own. Its input being a pipe, the size is set from inside. */
function withTerminal(options: ExecOptions, env: Readonly<Record<string, string>>): string[] {
  const script = findCommand('script', env['PATH'] ?? '') ?? findCommand('script', '/usr/bin:/bin');
  if (script === undefined) {
    throw new ShoalError(
      'failed_precondition',
      'no terminal to be had: install the program `script` (util-linux) on this node, or leave -t out',
    );
  }
  const size = options.rows > 0 && options.columns > 0 ? `stty rows ${options.rows} cols ${options.columns} 2>/dev/null; ` : '';
  if (process.platform === 'darwin') return [script, '-q', '/dev/null', '/bin/sh', '-c', `${size}exec "$@"`, 'sh', ...options.command];
  return [script, '-q', '-e', '-f', '-c', `${size}exec ${options.command.map(quote).join(' ')}`, '/dev/null'];
}

/** One word for a POSIX shell, whatever it holds. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Tells the kernel the new size of the terminal that the command (a child of `script`) has; the command gets SIGWINCH from it. */
async function resizeTerminal(child: ChildProcessWithoutNullStreams, rows: number, columns: number): Promise<void> {
  const terminal = child.pid === undefined || process.platform !== 'linux' ? undefined : terminalOfChild(child.pid);
  if (terminal === undefined || rows === 0 || columns === 0) return;
  try {
    await promisify(execFile)('stty', ['-F', terminal, 'rows', String(rows), 'cols', String(columns)], { timeout: 5000 });
  } catch (error) {
    throw new ShoalError('unavailable', `the terminal cannot be resized: ${messageOf(error)}`, { cause: error });
  }
}

const PTS_MAJOR = 136;

function terminalOfChild(pid: number): string | undefined {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const [, parent, , , terminal] = statFields(name);
    const device = Number(terminal);
    if (Number(parent) === pid && device >> 8 >= PTS_MAJOR && device >> 8 < PTS_MAJOR + 8) {
      return `/dev/pts/${((device >> 8) - PTS_MAJOR) * 256 + (device & 0xff)}`;
    }
  }
  return undefined;
}

/** From the state on: state, parent, group, session, terminal. */
function statFields(pid: string): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

function splitEntry(entry: string): [string, string] {
  const at = entry.indexOf('=');
  return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
}
