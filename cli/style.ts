// Colours: on terminals only, and never where NO_COLOR is set (https://no-color.org).
import { styleText } from 'node:util';
import type { Output, Shell } from './shell.ts';

type Style = Parameters<typeof styleText>[0];

/** Text in the given style, or as it is where `output` shows no colours. */
export function styled(shell: Pick<Shell, 'env'>, output: Output, style: Style, text: string): string {
  return showsColours(shell, output) ? styleText(style, text, { validateStream: false }) : text;
}

function showsColours(shell: Pick<Shell, 'env'>, output: Output): boolean {
  const { NO_COLOR: noColor, TERM: term } = shell.env;
  return output.isTerminal && (noColor === undefined || noColor === '') && term !== 'dumb';
}
