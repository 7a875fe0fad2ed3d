// `shoal completion SHELL`, and the hidden verb that its scripts ask for names.
import type { Command } from 'commander';
import { type Launch, plainVerb } from '../command-line/verb.ts';

const EXAMPLES = `
To use it in the present shell:
  bash:  source <(shoal completion bash)
  zsh:   source <(shoal completion zsh)
  fish:  shoal completion fish | source
`;

export function configureCompletion(completion: Command, launch: Launch): void {
  plainVerb(completion).argument('<SHELL>', 'bash, zsh or fish').addHelpText('after', EXAMPLES);
  completion.action(launch(() => import('./completion.ts')));
}

export function configureComplete(complete: Command, launch: Launch): void {
  complete.argument('<KIND>').action(launch(() => import('./names.ts')));
}
