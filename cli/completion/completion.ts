// `completion bash|zsh|fish`
import { ShoalError } from '../../lib/errors.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { type CompletionCommand, completionTree } from './tree.ts';
import { zshScript } from './zsh.ts';

const SCRIPTS: Readonly<Record<string, (commands: readonly CompletionCommand[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export async function run(context: VerbContext, [name = '']: readonly string[]): Promise<undefined> {
  const script = Object.hasOwn(SCRIPTS, name) ? SCRIPTS[name] : undefined;
  if (script === undefined)
    throw ShoalError.invalid('no completion', [{ path: 'SHELL', message: `"${name}" is not one of bash, zsh, fish` }]);
  context.shell.out.write(script(completionTree(await context.commandTree())));
}
