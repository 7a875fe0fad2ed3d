// Processes of a development cluster that run now, found by their command lines: also those that no file names any more. Where the system has no
// /proc, none are found.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { relative, sep } from 'node:path';
import { type ProcessId, processId } from '../../lib/process-id.ts';
import type { DevLayout } from './layout.ts';

export interface RunningProcess extends ProcessId {
  /** A task: the shell that stands over one as a plain process. */
  readonly role: 'etcd' | 'manager' | 'agent' | 'mesh' | 'task';
  /** "etcd", "manager", or the node that it belongs to. */
  readonly name: string;
  /** The program first. */
  readonly commandLine: readonly string[];
}

/** All that work in the layout's folder, whether or not that still exists. */
export function runningProcesses(layout: DevLayout): readonly RunningProcess[] {
  const all = pids().flatMap((pid) => {
    const commandLine = commandLineOf(pid);
    const found = ownerOf(layout, commandLine);
    return found !== undefined && hasOurFiles(pid) ? [{ ...found, ...processId(pid), commandLine }] : [];
  });
  const tasks = new Set(all.filter(({ role }) => role === 'task').map(({ pid }) => pid));
  // What a shell has just begun bears the shell's own command line for a moment.
  return all.filter(({ role, pid }) => role !== 'task' || !tasks.has(parentOf(pid)));
}

/** "mesh of node-1 (pid 42)", several with commas. */
export function runningText(running: readonly RunningProcess[]): string {
  const nameOf = ({ role, name }: RunningProcess): string => (role === 'mesh' || role === 'task' ? `${role} of ${name}` : name);
  return running.map((each) => `${nameOf(each)} (pid ${each.pid})`).join(', ');
}

/** By the folder that its command line names, see roles.ts and the agent's mesh launcher and task supervisor. */
export function ownerOf(layout: DevLayout, commandLine: readonly string[]): Pick<RunningProcess, 'role' | 'name'> | undefined {
  const supervised = pathIn(layout, valueAfter(commandLine, 'shoal-supervisor'));
  if (supervised !== undefined) return supervised[1] === 'tasks' ? { role: 'task', name: supervised[0] } : undefined;
  const dataDir = pathIn(layout, valueAfter(commandLine, '--data-dir'));
  if (dataDir === undefined) return undefined;
  const [name, below] = dataDir;
  if (below !== undefined) return below === 'mesh' ? { role: 'mesh', name } : undefined;
  return { role: name === 'etcd' || name === 'manager' ? name : 'agent', name };
}

/** The names of a path below the layout's folder. */
function pathIn({ folder }: DevLayout, path: string | undefined): readonly [string, ...string[]] | undefined {
  if (path?.startsWith(folder + sep) !== true) return undefined;
  const [first = '', ...rest] = relative(folder, path).split(sep);
  return first === '' || first === '..' ? undefined : [first, ...rest];
}

function valueAfter(commandLine: readonly string[], word: string): string | undefined {
  const at = commandLine.indexOf(word);
  return at === -1 ? undefined : commandLine[at + 1];
}

/** One in a container may call another folder by the same path. */
function hasOurFiles(pid: number): boolean {
  try {
    const [theirs, ours] = [statSync(`/proc/${String(pid)}/root/`), statSync('/')];
    return theirs.dev === ours.dev && theirs.ino === ours.ino;
  } catch {
    return false;
  }
}

function commandLineOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8')
      .split('\0')
      .slice(0, -1);
  } catch {
    return [];
  }
}

/** 0: it has gone. */
function parentOf(pid: number): number {
  try {
    // The program's name may have anything in it; what follows its bracket are the state and the parent.
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

function pids(): readonly number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}
