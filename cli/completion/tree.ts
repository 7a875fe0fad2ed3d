// The tree of commands as completion scripts need it.
import type { Command } from 'commander';

/** What stands in a place of a command line: one of these, or a name that `shoal __complete KIND` lists. */
export type NameKind = 'services' | 'nodes' | 'tasks' | 'logs';

export interface CompletionFlag {
  readonly long: string | undefined;
  readonly short: string | undefined;
  readonly takesValue: boolean;
  readonly description: string;
}

export interface CompletionCommand {
  /** Below the program: ["service", "create"]; the program itself is empty. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly flags: readonly CompletionFlag[];
  /** Direct ones, names only. */
  readonly commands: readonly string[];
  /** Fixed words in the place of an argument. */
  readonly words: readonly string[];
  readonly names: NameKind | undefined;
  /** The name is completed in the first place only (exec TASK COMMAND...). */
  readonly onlyFirst: boolean;
}

/** The program first; hidden commands and flags are left out. */
export function completionTree(program: Command): readonly CompletionCommand[] {
  return walk(program, []);
}

function walk(command: Command, path: readonly string[]): readonly CompletionCommand[] {
  const shown = command
    .createHelp()
    .visibleCommands(command)
    .filter((child) => !child.name().startsWith('__'));
  const [firstArgument] = command.registeredArguments;
  const here: CompletionCommand = {
    path,
    summary: command.summary() || command.description(),
    flags: command
      .createHelp()
      .visibleOptions(command)
      .map((option) => ({
        long: option.long ?? undefined,
        short: option.short ?? undefined,
        takesValue: option.required,
        description: option.description,
      })),
    commands: shown.map((child) => child.name()),
    words: firstArgument?.name() === 'SHELL' ? ['bash', 'zsh', 'fish'] : [],
    names: nameKind(firstArgument?.name()),
    onlyFirst: firstArgument?.variadic !== true,
  };
  return [here, ...shown.flatMap((child) => walk(child, [...path, child.name()]))];
}

/** By the name of the argument in the help. */
function nameKind(argument: string | undefined): NameKind | undefined {
  switch (argument) {
    case 'SERVICE':
    case 'SERVICE=REPLICAS':
      return 'services';
    case 'SERVICE|TASK':
      return 'logs';
    case 'NODE':
      return 'nodes';
    case 'TASK':
      return 'tasks';
    default:
      return undefined;
  }
}
