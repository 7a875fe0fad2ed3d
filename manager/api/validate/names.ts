// Names of objects that users choose.
import type { Report } from './report.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const MAX_NAME_LENGTH = 63;

export function checkName(path: string, name: string, report: Report): void {
  if (name === '') report(path, 'a name is needed');
  else if (name.length > MAX_NAME_LENGTH)
    report(path, `"${name.slice(0, MAX_NAME_LENGTH)}..." is longer than ${MAX_NAME_LENGTH} characters`);
  else if (!NAME.test(name)) report(path, `"${name}" must begin with a letter or digit and go on with letters, digits, _ . or -`);
}
