// A mistake in how a command was typed: exit code 2, with the way to its help.
import type { Command, CommanderError } from 'commander';
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';

/** Names every wrong flag; `problems` is not empty. */
export function usageError(command: Command, problems: readonly FieldProblem[]): ShoalError {
  return ShoalError.invalid(`wrong flags; \`${pathOf(command)} --help\` lists what there is`, problems);
}

/** What commander found wrong: "error: unknown option '--foo'\n(Did you mean ...?)", in one line. */
export function usageMistake(command: Command, error: CommanderError): ShoalError {
  const message = error.message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
  return new ShoalError('invalid_argument', `${message}; see \`${pathOf(command)} --help\``, { cause: error });
}

/** "shoal service create" */
export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
