// Arguments that a command can make nothing of: flags that it does not have, each with the one that was meant perhaps, and words too many.
import type { FieldProblem } from './errors.ts';
import { suggest } from './suggest.ts';

/** `args`: what a parser left over; looked at up to "--". `known`: long names, with their dashes. */
export function unknownFlags(args: readonly string[], known: readonly string[]): readonly FieldProblem[] {
  return upToEnd(args)
    .filter(isFlag)
    .map((arg) => {
      const path = arg.replace(/=.*/s, '');
      // The dashes, which all have, make none alike.
      const near = suggest(withoutDashes(path), known.map(withoutDashes));
      return { path, message: near === undefined ? 'unknown flag' : `unknown flag (did you mean --${near}?)` };
    });
}

/** The same of a command that takes flags only; the word after an unknown flag counts as its value. */
export function strayArguments(args: readonly string[], known: readonly string[]): readonly FieldProblem[] {
  const words = upToEnd(args).filter((arg, index) => !isFlag(arg) && !isFlag(args[index - 1] ?? ''));
  return [...unknownFlags(args, known), ...words.map((path) => ({ path, message: 'is no flag, and nothing else is taken here' }))];
}

function withoutDashes(flag: string): string {
  return flag.replace(/^-+/, '');
}

function upToEnd(args: readonly string[]): readonly string[] {
  const end = args.indexOf('--');
  return end === -1 ? args : args.slice(0, end);
}

/** Numbers below zero are none. */
function isFlag(arg: string): boolean {
  return arg.startsWith('-') && arg !== '-' && !/^-\d/.test(arg);
}
