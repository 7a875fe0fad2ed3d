// What `inspect` prints for several objects: one JSON array, or each through a template, or each for people.
import { ShoalError } from '../../lib/errors.ts';
import { forEach } from '../command-line/each.ts';
import { goTemplate, type Struct, toJson } from '../format/go-template/index.ts';
import type { Shell } from '../shell.ts';

export interface InspectOptions {
  readonly format?: string;
  readonly pretty?: boolean;
}

const INDENT = 4;

/** What is found is printed though others are not. Resolves to the exit code. */
export async function inspectEach<T>(
  shell: Shell,
  refs: readonly string[],
  options: InspectOptions,
  get: (ref: string) => Promise<T>,
  show: { readonly struct: (object: T) => Struct; readonly pretty: (object: T) => string },
): Promise<number> {
  if (options.pretty === true && options.format !== undefined)
    throw ShoalError.invalid('cannot inspect', [{ path: '--pretty', message: 'contradicts --format' }]);
  const found: T[] = [];
  // A wrong template is refused before anything is asked for.
  const render = renderer(options, show);
  const exitCode = await forEach(shell, refs, async (ref) => {
    found.push(await get(ref));
    return 0;
  });
  shell.out.write(render(found));
  return exitCode;
}

function renderer<T>(
  { format, pretty }: InspectOptions,
  show: { readonly struct: (object: T) => Struct; readonly pretty: (object: T) => string },
): (objects: readonly T[]) => string {
  if (pretty === true || format === 'pretty') return (objects) => objects.map(show.pretty).join('\n');
  if (format === undefined) return (objects) => `${toJson(objects.map(show.struct), INDENT)}\n`;
  if (format === 'json') return (objects) => `${toJson(objects.map(show.struct))}\n`;
  const template = goTemplate(format.replaceAll('\\t', '\t').replaceAll('\\n', '\n'));
  return (objects) => objects.map((object) => `${template(show.struct(object))}\n`).join('');
}
