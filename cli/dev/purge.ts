// Clears what an agent that is gone left running, its tasks and its mesh: by another agent on its data, `shoal agent --purge`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Clock, withDeadline } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { processId } from '../../lib/process-id.ts';
import type { DevProcess } from './layout.ts';
import { killProcesses } from './processes.ts';

const PURGE_MS = 20_000;

/**
 * `kill`: the tasks get no time to stop. Otherwise `hurry` ends it early, for another one that kills. Resolves, when nothing of it is at work any
 * more, to why something may be left; undefined: nothing is. Its output goes to the agent's log.
 */
export async function purge(agent: DevProcess, kill: boolean, clock: Clock, hurry: AbortSignal): Promise<string | undefined> {
  if (!kill && hurry.aborted) return 'there was no time for it';
  let log: number | undefined;
  try {
    mkdirSync(dirname(agent.logFile), { recursive: true, mode: 0o700 });
    log = openSync(agent.logFile, 'a');
    const before = fstatSync(log).size;
    const args = [...agent.args, '--purge', ...(kill ? ['--kill'] : [])];
    // Detached: Ctrl-C is for whoever started this, who then hurries.
    const child = spawn(agent.command, args, { detached: true, stdio: ['ignore', log, log] });
    const id = processId(child.pid ?? 0);
    try {
      await withDeadline(clock, PURGE_MS, 'it', () => once(child, 'exit'), kill ? undefined : hurry);
    } finally {
      // One that lived on would keep its folder locked against the next.
      await killProcesses([id], clock);
    }
    return child.exitCode === 0 ? undefined : lastWords(agent, before);
  } catch (error) {
    return messageOf(error);
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

/** The plain error among what it logged. */
function lastWords({ logFile }: DevProcess, fromBytes: number): string {
  const lines = readFileSync(logFile).subarray(fromBytes).toString('utf8').split('\n');
  const error = lines.findLast((line) => line.startsWith('shoal: '));
  return error?.slice('shoal: '.length) ?? 'it failed';
}
