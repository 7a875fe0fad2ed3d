// The completion script for bash: one table of words per command, and a function that finds the command on the line.
import type { CompletionCommand, CompletionFlag } from './tree.ts';

export function bashScript(commands: readonly CompletionCommand[]): string {
  return `# bash completion for shoal; made by \`shoal completion bash\`
_shoal() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}"
  local path="" operands=0 skip=0 word i words="" flags="" names="" flag=""
  local -a global=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    if ((skip)); then skip=0; continue; fi
    if [[ "$word" == -* ]]; then
      if [[ -z "$path" && ( "$word" == --host || "$word" == -H ) ]]; then global=(--host "\${COMP_WORDS[i+1]}"); fi
      if _shoal_takes_value "$path" "$word"; then skip=1 flag="$word"; fi
    elif _shoal_is_command "$path" "$word"; then
      path="\${path:+$path }$word"
    else
      operands=$((operands + 1))
    fi
  done
  # "--flag=value" comes in three words where "=" breaks words.
  if [[ "$prev" == "=" && COMP_CWORD -ge 2 ]]; then skip=1 flag="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  if [[ "$cur" == "=" ]]; then skip=1 flag="$prev" cur=""; fi
  if ((skip)); then
    case "$path:$flag" in
${commands.flatMap(bashValues).join('\n')}
    esac
    if [[ -n "$names" ]]; then words+=" $(shoal "\${global[@]}" __complete "$names" 2>/dev/null | tr '\\n' ' ')"; fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    return
  fi
  case "$path" in
${commands.map(bashCase).join('\n')}
  esac
  if [[ "$cur" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
    return
  fi
  if [[ -n "$names" ]]; then words+=" $(shoal "\${global[@]}" __complete "$names" 2>/dev/null | tr '\\n' ' ')"; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
_shoal_is_command() {
  case "$1:$2" in
    ${alternatives(commands.flatMap(({ path, commands: children }) => children.map((child) => `${path.join(' ')}:${child}`)))}) return 0 ;;
  esac
  return 1
}
_shoal_takes_value() {
  case "$1:$2" in
    ${alternatives(
      commands.flatMap(({ path, flags }) =>
        flags
          .filter(({ takesValue }) => takesValue)
          .flatMap(spellings)
          .map((flag) => `${path.join(' ')}:${flag}`),
      ),
    )}) return 0 ;;
  esac
  return 1
}
complete -F _shoal shoal
`;
}

function bashCase({ path, flags, commands, words, names, onlyFirst }: CompletionCommand): string {
  const parts = [`flags="${flags.flatMap(spellings).join(' ')}"`];
  const fixed = [...commands, ...words];
  if (fixed.length > 0) parts.push(`words="${fixed.join(' ')}"`);
  if (names !== undefined) parts.push(onlyFirst ? `((operands)) || names=${names}` : `names=${names}`);
  return `    "${path.join(' ')}") ${parts.join('; ')} ;;`;
}

/** The cases of the flags of a command whose values are known: words, names, or files. */
function bashValues({ path, flags }: CompletionCommand): readonly string[] {
  return flags.flatMap((flag) => {
    if (!flag.takesValue) return [];
    const at = alternatives(spellings(flag).map((spelled) => `${path.join(' ')}:${spelled}`));
    if (flag.values.length > 0) return [`      ${at}) words="${flag.values.join(' ')}" ;;`];
    if (flag.names !== undefined) return [`      ${at}) names=${flag.names} ;;`];
    return flag.isPath ? [`      ${at}) compopt -o default 2>/dev/null ;;`] : [];
  });
}

function alternatives(patterns: readonly string[]): string {
  return patterns.map((pattern) => `"${pattern}"`).join(' | ');
}

function spellings({ long, short }: CompletionFlag): readonly string[] {
  return [short, long].filter((flag) => flag !== undefined);
}
