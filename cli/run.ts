// Runs one command line: from arguments to an exit code. Everything that goes wrong is reported here, once.
import { CommanderError } from 'commander';
import type { Control } from './client/control.ts';
import { findManagers } from './client/managers.ts';
import { type Launch, type VerbContext, withOtherFlags } from './command-line/verb.ts';
import { usageMistake } from './command-line/usage-error.ts';
import { reportError } from './error-report.ts';
import { createProgram, type LazyCommand } from './program.ts';
import type { Shell } from './shell.ts';

/** `args`: without the names of node and script. */
export async function runCli(args: readonly string[], shell: Shell, roles: readonly LazyCommand[]): Promise<number> {
  let exitCode = 0;
  let control: Control | undefined;
  const context: VerbContext = {
    shell,
    async control() {
      const signal = shell.interrupt();
      const { host = [] } = program.command.opts<{ readonly host?: readonly string[] }>();
      const managers = findManagers(host, shell);
      const { createControl } = await import('./client/control.ts');
      control ??= createControl({ managers, clock: shell.clock, signal });
      return control;
    },
    async commandTree() {
      await program.loadAll();
      return program.command;
    },
  };
  const launch: Launch =
    (load) =>
    async (...parameters) => {
      // commander passes the arguments, the options and the command.
      const command = parameters.at(-1) as { readonly args: readonly string[] };
      const verb = await load();
      exitCode = (await verb.run(context, command.args, parameters.at(-2) as never)) ?? 0;
    };
  const program = createProgram(shell, roles, launch);
  try {
    await program.command.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(shell, await withOtherFlags(context, error));
    // Help and --version come as errors of exit code 0.
    return error.exitCode === 0 ? 0 : reportError(shell, usageMistake(program.command, error));
  } finally {
    control?.close();
  }
}
