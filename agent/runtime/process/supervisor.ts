// The small shell that stands over one task: in a session of its own, so that it outlives the agent, and about 1 MB in size.
//
// It writes to the task's folder
//   supervisor  "<pid> <start time>" of itself; whoever makes this file runs the task, a second supervisor leaves
//   pid         "<pid> <start time> <boot id>" of the task, which leads a process group of its own
//   exit        the exit code (128 + signal), once the task has ended and what was left of its group is killed
//   output/     stdout and stderr, appended
// Every file is complete when it ends with a newline. The task's command is passed as arguments, never as text of the script.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { type Readable } from 'node:stream';
import { type Clock, withDeadline } from '../../../lib/clock.ts';
import { messageOf, ShoalError } from '../../../lib/errors.ts';

/**
 * Names begin with shoal__ because assigning to a variable that came with the environment would change it for the task. Signals are caught, not
 * ignored: what a shell ignores its children ignore too. The task runs in the foreground, as POSIX shells let background commands ignore SIGINT.
 */
const STARTED = `
shoal__started() {
  if IFS= read -r shoal__line 2>/dev/null <"/proc/$1/stat"; then
    set -- \${shoal__line##*) }
    echo "\${20}"
  else
    LC_ALL=C /bin/ps -o lstart= -p "$1" | tr -s ' ' _
  fi
}
set -f`;

/** Becomes the task: notes its own pid, which exec keeps, and tells the agent on fd 3 (which may be gone: SIGPIPE must not matter). */
const BECOME_TASK = `${STARTED}
shoal__dir=$1
shift
trap : PIPE
IFS= read -r shoal__boot 2>/dev/null </proc/sys/kernel/random/boot_id || shoal__boot=none
echo "$$ $(shoal__started $$) $shoal__boot" >"$shoal__dir/pid"
echo started >&3
exec 3>&-
exec "$@"
`;

const SUPERVISE = `${STARTED}
trap : HUP INT QUIT TERM PIPE USR1 USR2
shoal__dir=$1 shoal__setsid=$2 shoal__become=$3
shift 3
shoal__me="$$ $(shoal__started $$)"
set -C
echo "$shoal__me" >"$shoal__dir/supervisor" || exit 0
set +C
test -n "$shoal__setsid" || set -m
\${shoal__setsid:-command} /bin/sh -c "$shoal__become" shoal-task "$shoal__dir" "$@" </dev/null >>"$shoal__dir/output/stdout" 2>>"$shoal__dir/output/stderr"
shoal__code=$?
read -r shoal__pid shoal__rest <"$shoal__dir/pid" && kill -KILL "-$shoal__pid"
echo "$shoal__code" >"$shoal__dir/exit"
`;

const START_DEADLINE_MS = 10_000;

export interface SupervisedCommand {
  /** The task's folder, with output/ in it. */
  readonly folder: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
}

/**
 * Starts a supervisor and resolves when its task runs, or when the supervisor has left because another one has the task.
 * Throws `failed_precondition` where the system does not let it start.
 */
export async function startSupervisor(command: SupervisedCommand, clock: Clock, signal: AbortSignal): Promise<void> {
  const child = spawn('/bin/sh', ['-c', SUPERVISE, 'shoal-supervisor', command.folder, setsidPath() ?? '', BECOME_TASK, ...command.argv], {
    cwd: command.workdir,
    env: { ...command.env },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const told = child.stdio[3] as Readable;
  try {
    await withDeadline(clock, START_DEADLINE_MS, 'starting the process', () => firstWord(child, told), signal);
  } catch (error) {
    if (error instanceof ShoalError) throw error;
    throw new ShoalError('failed_precondition', `the process cannot be started: ${messageOf(error)}`, { cause: error });
  } finally {
    told.destroy();
    child.unref();
  }
}

/** Resolves with the first bytes, or at the end without any. */
async function firstWord(child: ChildProcess, told: Readable): Promise<void> {
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', reject);
  });
  const heard = Promise.race([once(told, 'data'), once(told, 'end'), once(told, 'close')]);
  await Promise.race([heard, failed]);
}

/** setsid gives the task a session and group of its own; where there is none (macOS) the shell's job control gives it a group. */
function setsidPath(): string | undefined {
  return ['/usr/bin/setsid', '/bin/setsid', '/usr/local/bin/setsid'].find((path) => existsSync(path));
}
