// Errors on stderr: one plain message, every wrong field on a line of its own, and the exit code.
import { ERROR_CODES, ShoalError } from '../lib/errors.ts';
import type { Shell } from './shell.ts';
import { styled } from './style.ts';

/** Of the requests of all verbs that have the flag. */
const FILTER = /^filters\[\d+\](?:\.\w+)*/;

/** Prints `error` and answers with its exit code. */
export function reportError(shell: Shell, thrown: unknown): number {
  const error = ShoalError.from(thrown);
  const label = styled(shell, shell.err, 'red', 'shoal:');
  const lines = linesOf(error);
  // Ctrl-C needs no explanation.
  if (error.code !== 'cancelled' || error.message !== 'interrupted') shell.err.write(`${label} ${lines.join('\n')}\n`);
  if (shell.env['SHOAL_DEBUG'] !== undefined) shell.err.write(`${stackOf(error)}\n`);
  return ERROR_CODES[error.code].exit;
}

function linesOf(error: ShoalError): readonly string[] {
  const fields = error.fields.map(({ path, message }) => ({ path: path.replace(FILTER, '--filter'), message }));
  const [first, ...others] = fields;
  if (first === undefined) return [error.message];
  // The one field says what the message says.
  if (others.length === 0 && first.message === error.message) return [`${first.path}: ${first.message}`];
  return [heading(error), ...fields.map(({ path, message }) => `  ${path}: ${message}`)];
}

/** ShoalError.invalid puts all problems into the message too, for where only that is shown; here they have lines of their own. */
function heading(error: ShoalError): string {
  const list = error.fields.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return error.message.endsWith(list) ? error.message.slice(0, -list.length).trimEnd() : error.message;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
