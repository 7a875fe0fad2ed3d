// The completion script for fish: one `complete` line per word, under the condition that its command is on the line.
import type { CompletionCommand, CompletionFlag } from './tree.ts';

export function fishScript(commands: readonly CompletionCommand[]): string {
  return `# fish completion for shoal; made by \`shoal completion fish\`
function __shoal_at
    # True where the commands typed so far are exactly the arguments.
    set -l typed
    for word in (commandline -opc)[2..-1]
        string match -q -- '-*' $word; and continue
        contains -- "$typed $word" $__shoal_commands; or contains -- "$word" $__shoal_commands; or continue
        set typed (string trim -- "$typed $word")
    end
    test "$typed" = "$argv"
end
set -g __shoal_commands ${commands
    .filter(({ path }) => path.length > 0)
    .map(({ path }) => quoted(path.join(' ')))
    .join(' ')}
complete -c shoal -f
${commands.flatMap((command) => linesOf(command, commands)).join('\n')}
`;
}

function linesOf(command: CompletionCommand, all: readonly CompletionCommand[]): readonly string[] {
  const at = `complete -c shoal -n ${quoted(`__shoal_at ${command.path.join(' ')}`.trim())}`;
  const children = command.commands.map((child) => {
    const path = [...command.path, child].join(' ');
    const summary = all.find((other) => other.path.join(' ') === path)?.summary ?? '';
    return `${at} -a ${child} -d ${quoted(summary)}`;
  });
  const words = command.words.length > 0 ? [`${at} -a ${quoted(command.words.join(' '))}`] : [];
  const names = command.names === undefined ? [] : [`${at} -a ${quoted(`(shoal __complete ${command.names} 2>/dev/null)`)}`];
  return [...children, ...words, ...names, ...command.flags.map((flag) => flagLine(at, flag))];
}

function flagLine(at: string, flag: CompletionFlag): string {
  const { long, short, description } = flag;
  const spelled = [short === undefined ? '' : ` -s ${short.slice(1)}`, long === undefined ? '' : ` -l ${long.slice(2)}`].join('');
  return `${at}${spelled}${valueOf(flag)} -d ${quoted(description)}`;
}

function valueOf({ takesValue, values, names, isPath }: CompletionFlag): string {
  if (!takesValue) return '';
  if (values.length > 0) return ` -x -a ${quoted(values.join(' '))}`;
  if (names !== undefined) return ` -x -a ${quoted(`(shoal __complete ${names} 2>/dev/null)`)}`;
  return isPath ? ' -r -F' : ' -x';
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
