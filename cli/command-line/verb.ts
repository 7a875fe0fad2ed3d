// What a verb is: declared with its flags at once (for help and completion), its code loaded only when it runs.
import { type Command, Option } from 'commander';
import type { Control } from '../client/control.ts';
import type { Shell } from '../shell.ts';
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import { unknownFlags } from '../../lib/unknown-flags.ts';
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
    refuseUnknownFlags(command, stopsAtOperand ? unknownOnes(result.unknown, (rest) => parse(rest).unknown) : result.unknown);
    return result;
  };
  return command.allowExcessArguments(false);
}

/** Where parsing stops at the first word that is no flag of the command, it has stopped at an unknown flag, too: those after it may be known. */
function unknownOnes(left: readonly string[], parse: (args: string[]) => readonly string[]): readonly string[] {
  const [unknown, ...rest] = left;
  return unknown === undefined ? [] : [unknown, ...unknownOnes(parse(rest), parse)];
}

/** What else is wrong with a command line that has unknown flags. Changes nothing; rejects with `invalid_argument` that names `unknown` and the rest. */
export type FlagCheck = (context: VerbContext, unknown: readonly FieldProblem[]) => Promise<unknown>;

const checks = new WeakMap<Command, FlagCheck>();
const refused = new WeakMap<Error, { readonly command: Command; readonly unknown: readonly FieldProblem[] }>();

/** From now on its unknown flags are told together with what `check` finds, which looks at the options that were read. */
export function checkFlagsWith(command: Command, check: FlagCheck): void {
  checks.set(command, check);
}

/** Instead of a refusal of unknown flags the one that names all that is wrong, where their command has a check; `error` itself otherwise. */
export async function withOtherFlags(context: VerbContext, error: unknown): Promise<unknown> {
  const found = error instanceof Error ? refused.get(error) : undefined;
  const check = found === undefined ? undefined : checks.get(found.command);
  if (found === undefined || check === undefined) return error;
  try {
    await check(context, found.unknown);
    return error;
  } catch (thrown) {
    const { fields } = ShoalError.from(thrown);
    return fields.length === 0 ? error : usageError(found.command, fields);
  }
}

function refuseUnknownFlags(command: Command, unknown: readonly string[]): void {
  const known = command.options.filter((option) => !option.hidden).flatMap((option) => option.long ?? []);
  const problems = unknownFlags(unknown, known);
  if (problems.length === 0 || problems.some(({ path }) => path === '--help' || path === '-h')) return;
  const misplaced = `unknown flag here: put it before "${command.parent?.name() ?? ''}", as in shoal --host HOST:PORT ...`;
  const told = problems.map((problem) =>
    problem.path === '--host' || problem.path === '-H' ? { ...problem, message: misplaced } : problem,
  );
  const error = usageError(command, told);
  refused.set(error, { command, unknown: told });
  throw error;
}

/** A flag that may be given several times; its values come as a list. */
export function listFlag(command: Command, flags: string, description: string): Command {
  const append = (value: string, before: unknown): readonly string[] => [
    ...(Array.isArray(before) ? (before as readonly string[]) : []),
    value,
  ];
  return command.addOption(new Option(flags, description).argParser(append));
}
