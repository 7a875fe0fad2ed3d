// Go templates, as far as `--format` needs them: fields, variables, pipelines, if/else, range, with, and Docker's functions.
import { evaluateTemplate } from './evaluate.ts';
import { parseTemplate } from './parser.ts';
import type { Value } from './value.ts';

export { mapOf, type Struct, toJson, type Value } from './value.ts';

/** Parses at once; the function then renders one value. Both throw `invalid_argument` with what is wrong. */
export function goTemplate(template: string): (data: Value) => string {
  const nodes = parseTemplate(template);
  return (data) => evaluateTemplate(nodes, data);
}
