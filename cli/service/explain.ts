// `service explain`
import type { VerbContext } from '../command-line/verb.ts';
import { goTemplate, toJson } from '../format/go-template/index.ts';
import { explanationLines } from '../format/explanation.ts';
import { explanationStruct } from '../inspect/explanation.ts';
import type { ServiceExplanation } from '../../proto/index.ts';

const INDENT = 4;

/** Exit code 0 whether all is right or not: the question was answered. */
export async function run(context: VerbContext, [ref = '']: readonly string[], flags: { readonly format?: string }): Promise<undefined> {
  const { shell } = context;
  const nowUnixMs = shell.clock.wallMs();
  const render = renderer(flags.format, nowUnixMs);
  const control = await context.control();
  shell.out.write(render(await control.read((client, options) => client.explainService({ ref }, options))));
}

/** Throws `invalid_argument` on a wrong template. */
function renderer(format: string | undefined, nowUnixMs: number): (explanation: ServiceExplanation) => string {
  if (format === undefined || format === 'table')
    return (explanation) =>
      explanationLines(explanation, nowUnixMs)
        .map((line) => `${line}\n`)
        .join('');
  if (format === 'json') return (explanation) => `${toJson(explanationStruct(explanation), INDENT)}\n`;
  const template = goTemplate(format.replaceAll('\\t', '\t').replaceAll('\\n', '\n'));
  return (explanation) => `${template(explanationStruct(explanation))}\n`;
}
