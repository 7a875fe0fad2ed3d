// A command that only groups others: alone it shows its help, with an unknown verb it says which one is near.
import type { Command } from 'commander';
import { ShoalError } from '../../lib/errors.ts';
import { suggest } from '../../lib/suggest.ts';
import { pathOf } from './usage-error.ts';

/** Call once, on the program itself and on each noun. */
export function makeNoun(command: Command): Command {
  return command.allowExcessArguments(true).action(() => {
    const [name] = command.args;
    if (name !== undefined) throw unknownCommand(command, name);
    command.outputHelp();
  });
}

export function unknownCommand(parent: Command, name: string): ShoalError {
  const known = parent.commands.map((command) => command.name()).filter((candidate) => !candidate.startsWith('__'));
  const near = suggest(name, known);
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
  return new ShoalError('invalid_argument', `unknown command "${name}"${hint}; \`${pathOf(parent)} --help\` lists what there is`);
}
