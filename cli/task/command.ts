// `shoal exec`: its flags.
import type { Command } from 'commander';
import { toggle } from '../command-line/toggles.ts';
import { type Launch, listFlag, runningVerb } from '../command-line/verb.ts';

export function configureExec(exec: Command, launch: Launch): void {
  runningVerb(exec).argument('<TASK>', 'task: web.3, or an id').argument('<COMMAND...>', 'what to run');
  toggle(exec, '-i, --interactive', 'pass standard input on');
  toggle(exec, '-t, --tty', 'in a pseudo-terminal');
  exec.option('-u, --user <USER[:GROUP]>', 'user or uid');
  exec.option('-w, --workdir <DIR>', 'working directory');
  listFlag(exec, '-e, --env <KEY=VALUE>', 'environment variable');
  exec.action(launch(() => import('./exec.ts')));
}
