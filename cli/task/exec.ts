// `exec`: a command in a task on whichever node, with the exit code of that command.
import { ShoalError } from '../../lib/errors.ts';
import type { ExecRequest } from '../../proto/index.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { flagReader } from '../service/spec/flag-reader.ts';
import { applyEnv } from '../service/spec/key-values.ts';
import { runExec } from './exec-stream.ts';

interface ExecFlags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly user?: string;
  readonly workdir?: string;
  readonly env?: readonly string[];
}

export async function run(context: VerbContext, [ref = '', ...words]: readonly string[], options: ExecFlags): Promise<number> {
  const { shell } = context;
  // As with kubectl; no program has this name.
  const command = words[0] === '--' ? words.slice(1) : words;
  if (command.length === 0) throw ShoalError.invalid('nothing to run', [{ path: 'COMMAND', message: 'is missing' }]);
  const flags = flagReader({ ...options }, 'create');
  const env = applyEnv([], flags, shell);
  flags.check('the command cannot be run');
  const tty = options.tty === true;
  const stdin = options.interactive === true;
  if (tty && stdin && !shell.input.isTerminal)
    throw new ShoalError('failed_precondition', 'standard input is not a terminal: leave -t out to pass a file or a pipe on');
  const request: ExecRequest = {
    taskId: '',
    command,
    tty,
    stdin,
    env,
    user: options.user ?? '',
    workdir: options.workdir ?? '',
    rows: tty ? shell.out.rows : 0,
    columns: tty ? shell.out.columns : 0,
  };
  const control = await context.control();
  const { client, target, options: call } = await control.streaming();
  return runExec(shell, client.exec(call), target, ref, request);
}
