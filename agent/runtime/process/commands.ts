// Finding programs as a shell would.
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, resolve } from 'node:path';

/** The file that `command` names on `path`, or seen from `workdir` where it has a slash; undefined where there is none to execute. */
export function findCommand(command: string, path: string, workdir = '/'): string | undefined {
  if (command.includes('/')) return executable(resolve(workdir, command));
  return path
    .split(delimiter)
    .filter((folder) => isAbsolute(folder))
    .map((folder) => executable(resolve(folder, command)))
    .find((file) => file !== undefined);
}

function executable(file: string): string | undefined {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}
