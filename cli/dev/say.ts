// What `shoal dev` says while it works: lines on stderr, so that stdout holds results only.
import type { Shell } from '../shell.ts';

export function say(shell: Pick<Shell, 'err'>, line: string): void {
  shell.err.write(`shoal: ${line}\n`);
}
