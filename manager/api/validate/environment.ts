// What a process is started with: command, args and env, within what the kernel takes.
import type { ContainerSpec } from '../../../proto/index.ts';
import type { Report } from './report.ts';
import type { TemplateCheck } from './templates.ts';

const MAX_ENV_BYTES = 256 * 1024;
const MAX_ARGS_BYTES = 256 * 1024;
/** MAX_ARG_STRLEN of Linux, less the final NUL. */
const MAX_STRING_BYTES = 128 * 1024 - 1;

export function checkEnv(path: string, env: readonly string[], report: Report, checkTemplate: TemplateCheck): void {
  let bytes = 0;
  env.forEach((entry, index) => {
    bytes += Buffer.byteLength(entry) + 1;
    const at = `${path}[${index}]`;
    const equals = entry.indexOf('=');
    if (equals === -1) report(at, `"${entry.slice(0, 80)}" is not of the form KEY=value`);
    else if (equals === 0) report(at, `"${entry.slice(0, 80)}" has no name before the "="`);
    else if (/\s/.test(entry.slice(0, equals))) report(at, `the name "${entry.slice(0, Math.min(equals, 80))}" contains a blank`);
    checkWord(at, entry, report);
    checkTemplate(at, entry);
  });
  if (bytes > MAX_ENV_BYTES) report(path, `the environment takes ${bytes} bytes; at most ${MAX_ENV_BYTES} are taken`);
}

export function checkCommand(container: ContainerSpec, report: Report): void {
  let bytes = 0;
  for (const field of ['command', 'args'] as const) {
    container[field].forEach((text, index) => {
      bytes += Buffer.byteLength(text) + 1;
      checkWord(`task.container.${field}[${index}]`, text, report);
    });
  }
  if (container.command[0] === '') report('task.container.command[0]', 'the program is empty');
  if (bytes > MAX_ARGS_BYTES) report('task.container.args', `command and args take ${bytes} bytes; at most ${MAX_ARGS_BYTES} are taken`);
}

/** One entry of what a process is started with. */
export function checkWord(path: string, text: string, report: Report): void {
  if (text.includes('\0')) report(path, 'contains a NUL character');
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_STRING_BYTES) report(path, `takes ${bytes} bytes; at most ${MAX_STRING_BYTES} are taken for one entry`);
}
