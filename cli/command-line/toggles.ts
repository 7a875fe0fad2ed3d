// Flags that are on or off, with Docker's `--flag=false` and `--flag=true`: commander knows only `--flag` and `--no-flag`.
import { type Command, Option } from 'commander';

/** Adds `flags` ("-d, --detach" or "--no-trunc") and its hidden opposite. */
export function toggle(command: Command, flags: string, description: string): Command {
  const shown = new Option(flags, description);
  const opposite = new Option(`--${shown.negate ? longName(shown) : `no-${longName(shown)}`}`).hideHelp();
  // The positive one comes first: a lone --no-x would make x true by default.
  return shown.negate ? command.addOption(opposite).addOption(shown) : command.addOption(shown).addOption(opposite);
}

/** Of "--no-trunc" and "--trunc" alike: "trunc". */
function longName(option: Option): string {
  return option.name().replace(/^no-/, '');
}

/** `--detach=false` becomes `--no-detach`, up to the first operand where the command's operands may be flags of something else. */
export function withTogglesSpelledOut(command: Command, args: readonly string[], stopsAtOperand: boolean): string[] {
  const result: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--' || (stopsAtOperand && !isFlag(arg))) return [...result, ...args.slice(i)];
    result.push(spelledOut(command, arg));
    if (takesNext(command, arg) && i + 1 < args.length) result.push(args[++i] ?? '');
  }
  return result;
}

function isFlag(arg: string): boolean {
  return arg.length > 1 && arg.startsWith('-');
}

function spelledOut(command: Command, arg: string): string {
  const match = /^--([^=]+)=(true|false)$/i.exec(arg);
  const option = match === null ? undefined : find(command, `--${match[1] ?? ''}`);
  if (match === null || option === undefined || option.required || option.optional) return arg;
  const on = match[2]?.toLowerCase() === 'true';
  return on !== option.negate ? `--${longName(option)}` : `--no-${longName(option)}`;
}

/** True for `--name`, `-p` and `-itp`, where the value is the next argument. */
function takesNext(command: Command, arg: string): boolean {
  if (arg.startsWith('--')) return find(command, arg)?.required ?? false;
  if (!isFlag(arg)) return false;
  const letters = Array.from(arg.slice(1));
  const first = letters.findIndex((letter) => find(command, `-${letter}`)?.required ?? false);
  return first !== -1 && first === letters.length - 1;
}

function find(command: Command, flag: string): Option | undefined {
  return command.options.find((option) => option.short === flag || option.long === flag);
}
