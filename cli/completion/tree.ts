// The tree of commands as completion scripts need it.
import type { Command } from 'commander';

/** What stands in a place of a command line: one of these, or a name that `shoal __complete KIND` lists. */
export type NameKind = 'services' | 'nodes' | 'tasks' | 'logs' | 'parts';

export interface CompletionFlag {
  readonly long: string | undefined;
  readonly short: string | undefined;
  readonly takesValue: boolean;
  /** What the value can be; several words where the list is closed, none where it is not. */
  readonly values: readonly string[];
  /** The value is a name that `shoal __complete KIND` lists. */
  readonly names: NameKind | undefined;
  /** The value is a file or a folder. */
  readonly isPath: boolean;
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
        values: option.required ? (option.argChoices ?? VALUES[option.long ?? ''] ?? []) : [],
        names: nameKind(/<([^>]*)>/.exec(option.flags)?.[1]),
        isPath: /<(?:FILE|dir|socket)>/.test(option.flags),
        description: option.description,
      })),
    commands: shown.map((child) => child.name()),
    words: firstArgument?.name() === 'SHELL' ? ['bash', 'zsh', 'fish'] : [],
    names: nameKind(firstArgument?.name()),
    onlyFirst: firstArgument?.variadic !== true,
  };
  return [here, ...shown.flatMap((child) => walk(child, [...path, child.name()]))];
}

const ORDERS = ['auto', 'stop-first', 'start-first'];
const ACTIONS = ['pause', 'continue'];

/** Closed lists of flags that commander knows none of: what they take is checked, and explained, elsewhere. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  '--mode': ['replicated', 'global'],
  '--restart-condition': ['any', 'on-failure', 'none'],
  '--update-order': ORDERS,
  '--rollback-order': ORDERS,
  '--update-failure-action': [...ACTIONS, 'rollback'],
  '--rollback-failure-action': ACTIONS,
  '--availability': ['active', 'pause', 'drain'],
  '--role': ['worker', 'manager'],
  '--format': ['table', 'json'],
  '--runtime': ['docker', 'process'],
  '--store': ['etcd', 'embedded'],
  '--log-level': ['error', 'warn', 'info', 'debug'],
  '--log-format': ['auto', 'json', 'short'],
};

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
    case 'PART':
      return 'parts';
    default:
      return undefined;
  }
}
