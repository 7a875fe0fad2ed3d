// The files of one task and what they say: the only memory of the process runtime, read anew by every agent.
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeDurably } from '../../../lib/durable-file.ts';
import { errnoOf } from '../../../lib/errors.ts';
import { bootId, isAlive, type ProcessId } from '../../../lib/process-id.ts';
import { isId } from '../../../lib/ids.ts';
import { type HealthCheck } from '../../../proto/index.ts';
import { type Exit, type LeasedPort } from '../runtime.ts';

/** task.json, written by prepare: all that later calls need, whichever agent makes them. */
export interface TaskRecord {
  readonly taskId: string;
  readonly clusterId: string;
  readonly nodeId: string;
  readonly taskName: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly ports: readonly LeasedPort[];
  readonly stopSignal: NodeJS.Signals;
  readonly stopGraceMs: number;
  readonly healthCheck: HealthCheck | undefined;
}

export type ProcessState =
  | { readonly state: 'created' }
  /** A supervisor has the task and is about to run it. */
  | { readonly state: 'starting' }
  | { readonly state: 'running'; readonly process: ProcessId }
  | { readonly state: 'exited'; readonly exit: Exit };

/** Reported where the code was lost. */
const UNKNOWN_EXIT_CODE = 255;
const LOST = 'its exit code is unknown: the supervisor of the process was killed, or the host restarted';

export interface TaskFolder {
  readonly path: string;
  readonly output: string;
  readonly work: string;
  /** Makes the folder and the record; where the task stands already nothing is changed. */
  create(record: TaskRecord): Promise<void>;
  /** Undefined where there is no such task. */
  record(): Promise<TaskRecord | undefined>;
  state(): Promise<ProcessState>;
  supervisorPid(): Promise<number>;
  /** The last health told, so that a new agent goes on from there. */
  health(): Promise<string>;
  noteHealth(health: string): Promise<void>;
  remove(): Promise<void>;
}

export function taskFolder(directory: string, taskId: string): TaskFolder {
  const path = join(directory, taskId);
  const file = (name: string): string => join(path, name);
  const folder: TaskFolder = {
    path,
    output: file('output'),
    work: file('work'),
    async create(record) {
      if ((await folder.record()) !== undefined) return;
      await mkdir(folder.output, { recursive: true, mode: 0o700 });
      await mkdir(folder.work, { recursive: true, mode: 0o700 });
      await writeDurably(file('task.json'), JSON.stringify(record));
    },
    async record() {
      const text = await readIfThere(file('task.json'));
      return text === undefined ? undefined : (JSON.parse(text) as TaskRecord);
    },
    async state() {
      const exit = await readLine(file('exit'));
      if (exit !== undefined) return { state: 'exited', exit: { exitCode: Number(exit), reason: '' } };
      const supervisor = await readLine(file('supervisor'));
      if (supervisor === undefined) return { state: 'created' };
      const [pid, startTime = '', boot = ''] = (await readLine(file('pid')))?.split(' ') ?? [];
      const supervised = await runs(supervisor);
      if (pid !== undefined) {
        const task = { pid: Number(pid), startTime };
        // A task that has just ended is running until its supervisor has noted the exit code.
        if (supervised || (sameBoot(boot) && (await isRunning(task)))) return { state: 'running', process: task };
      } else if (supervised) return { state: 'starting' };
      // Between the two looks the supervisor may have written its last.
      const late = await readLine(file('exit'));
      return {
        state: 'exited',
        exit: late === undefined ? { exitCode: UNKNOWN_EXIT_CODE, reason: LOST } : { exitCode: Number(late), reason: '' },
      };
    },
    async supervisorPid() {
      return Number((await readLine(file('supervisor')))?.split(' ')[0] ?? 0);
    },
    async health() {
      return (await readLine(file('health'))) ?? '';
    },
    async noteHealth(health) {
      // Worth no fsync: after a crash the checks begin anew.
      await writeFile(file('health'), `${health}\n`, { mode: 0o600 });
    },
    async remove() {
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  return folder;
}

/** Ids of the tasks that have a folder. */
export async function taskIds(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter(isId);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function sameBoot(boot: string): boolean {
  return boot === 'none' || boot === bootId();
}

function runs(line: string): Promise<boolean> {
  const [pid, startTime = ''] = line.split(' ');
  return isRunning({ pid: Number(pid), startTime });
}

/** On Linux the kernel's start time tells a recycled pid; elsewhere ps does, in the form in which the supervisor wrote it. */
export async function isRunning(id: ProcessId): Promise<boolean> {
  if (!isAlive(id)) return false;
  if (process.platform === 'linux' || id.startTime === '') return true;
  try {
    const { stdout } = await promisify(execFile)('/bin/ps', ['-o', 'lstart=', '-p', String(id.pid)], {
      env: { LC_ALL: 'C' },
      timeout: 5000,
    });
    return stdout.replaceAll(/[ \n]+/g, '_').startsWith(id.startTime.replace(/_$/, ''));
  } catch {
    return false;
  }
}

/** The first line of a file, once it is complete. */
async function readLine(path: string): Promise<string | undefined> {
  const text = await readIfThere(path);
  const end = text?.indexOf('\n') ?? -1;
  return end < 0 ? undefined : text?.slice(0, end);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
