// What a verb is: declared with its flags at once (for help and completion), its code loaded only when it runs.
import { type Command, Option } from 'commander';
import type { Control } from '../client/control.ts';
import type { Shell } from '../shell.ts';
import { suggest } from '../../lib/suggest.ts';
import { withTogglesSpelledOut } from './toggles.ts';
import { usageError } from './usage-error.ts';

export interface VerbContext {
  readonly shell: Shell;
  /** The control API, connected when first asked for. Also catches Ctrl-C from then on. */
  control(): Promise<Control>;
  /** The whole tree of commands, everything loaded; for completion. */
  commandTree(): Promise<Command>;
}

/** One file per verb exports this. `O`: the options as commander names them. Resolves to an exit code; nothing is 0. */
export interface VerbModule<O> {
  run(context: VerbContext, args: readonly string[], options: O): Promise<number | undefined>;
}

/** Makes the action of a verb from what loads its code. */
export type Launch = <O>(load: () => Promise<VerbModule<O>>) => (...parameters: unknown[]) => Promise<void>;

/** Adds a verb as "name <arg>"; it refuses unknown flags all at once, and takes `--flag=false`. */
export function addVerb(parent: Command, nameAndArguments: string, summary: string): Command {
  return plainVerb(parent.command(nameAndArguments).summary(summary).description(`${summary}.`));
}

/** As `addVerb`; everything from the first operand on belongs to the command that is to run. */
export function addRunningVerb(parent: Command, nameAndArguments: string, summary: string): Command {
  return runningVerb(parent.command(nameAndArguments).summary(summary).description(`${summary}.`));
}

/** The same for a command that is there already, such as one directly below the program. */
export function runningVerb(command: Command): Command {
  return strict(command.passThroughOptions(), true);
}

export function plainVerb(command: Command): Command {
  return strict(command, false);
}

function strict(command: Command, stopsAtOperand: boolean): Command {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (args) => {
    const result = parse(withTogglesSpelledOut(command, args, stopsAtOperand));
    refuseUnknownFlags(command, result.unknown);
    return result;
  };
  return command.allowExcessArguments(false);
}

function refuseUnknownFlags(command: Command, unknown: readonly string[]): void {
  const end = unknown.indexOf('--');
  const flags = unknown
    .slice(0, end === -1 ? unknown.length : end)
    .filter((arg) => arg.startsWith('-') && arg !== '-' && !/^-\d/.test(arg));
  if (flags.length === 0 || flags.some((flag) => flag === '--help' || flag === '-h')) return;
  const known = command.options.filter((option) => !option.hidden).flatMap((option) => option.long ?? []);
  const problems = flags.map((flag) => {
    const name = flag.replace(/=.*/s, '');
    return { path: name, message: `unknown flag${hint(command, name, known)}` };
  });
  throw usageError(command, problems);
}

function hint(command: Command, name: string, known: readonly string[]): string {
  if (name === '--host' || name === '-H') return ` here: put it before "${command.parent?.name() ?? ''}", as in shoal --host HOST:PORT ...`;
  const near = suggest(name, known);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}

/** A flag that may be given several times; its values come as a list. */
export function listFlag(command: Command, flags: string, description: string): Command {
  const append = (value: string, before: unknown): readonly string[] => [
    ...(Array.isArray(before) ? (before as readonly string[]) : []),
    value,
  ];
  return command.addOption(new Option(flags, description).argParser(append));
}
