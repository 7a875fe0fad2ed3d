// The completion script for zsh: one function per command, built on _arguments.
import type { CompletionCommand, CompletionFlag } from './tree.ts';

export function zshScript(commands: readonly CompletionCommand[]): string {
  return `#compdef shoal
# zsh completion for shoal; made by \`shoal completion zsh\`
_shoal_names() {
  local -a names
  names=(\${(f)"$(shoal __complete $1 2>/dev/null)"})
  compadd -a names
}
${commands.map((command) => functionOf(command, commands)).join('\n')}
if [ "$funcstack[1]" = "_shoal" ]; then
  _shoal "$@"
else
  compdef _shoal shoal
fi
`;
}

function functionOf(command: CompletionCommand, all: readonly CompletionCommand[]): string {
  const flags = command.flags.flatMap(flagSpecs);
  const name = nameOf(command.path);
  if (command.commands.length > 0) {
    const children = command.commands.map((child) => {
      const path = [...command.path, child];
      const summary = all.find((other) => other.path.join(' ') === path.join(' '))?.summary ?? '';
      return { child, path, summary };
    });
    return `${name}() {
  local line state
  local -a commands=(${children.map(({ child, summary }) => quoted(`${child}:${summary}`)).join(' ')})
  _arguments -C ${[...flags, quoted('1: :->command'), quoted('*::arg:->args')].join(' ')}
  case $state in
    command) _describe command commands ;;
    args)
      case $line[1] in
${children.map(({ child, path }) => `        ${child}) ${nameOf(path)} ;;`).join('\n')}
      esac ;;
  esac
}`;
  }
  const operand = operandSpec(command);
  return `${name}() {
  _arguments ${[...flags, ...(operand === undefined ? [] : [operand])].join(' ')}
}`;
}

function operandSpec({ names, words, onlyFirst }: CompletionCommand): string | undefined {
  const place = onlyFirst ? '1' : '*';
  if (words.length > 0) return quoted(`${place}: :(${words.join(' ')})`);
  return names === undefined ? undefined : quoted(`${place}: :_shoal_names ${names}`);
}

function nameOf(path: readonly string[]): string {
  return ['_shoal', ...path].join('_').replaceAll('-', '_');
}

function flagSpecs(completed: CompletionFlag): readonly string[] {
  const { long, short, takesValue, description } = completed;
  const text = description.replaceAll(/[[\]:]/g, (character) => `\\${character}`);
  return [short, long]
    .filter((flag) => flag !== undefined)
    .map((flag) => quoted(`*${flag}${takesValue && flag.startsWith('--') ? '=' : ''}[${text}]${valueOf(completed)}`));
}

function valueOf({ takesValue, values, names, isPath }: CompletionFlag): string {
  if (!takesValue) return '';
  if (values.length > 0) return `:value:(${values.join(' ')})`;
  if (names !== undefined) return `:value:_shoal_names ${names}`;
  return isPath ? ':value:_files' : ':value: ';
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
