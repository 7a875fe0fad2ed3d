// Placement constraints as people write them: `node.labels.ssd==true`, `node.role!=manager`, `node.labels.zone in (a, b) || node.labels.any exists`.
// Parsed here for everyone: the API refuses what is malformed, the scheduler filters by it, the orchestrator finds tasks whose node no longer fits.
import { isIP } from 'node:net';
import { ConstraintText, MalformedConstraint } from './constraint-text.ts';
import { type NodeKey, parseNodeKey } from './node-key.ts';

export type Operator = '==' | '!=' | 'in' | 'notin' | 'exists';

/** One comparison. */
export interface Term {
  readonly key: NodeKey;
  readonly operator: Operator;
  /** As written, without the blanks around them: one for == and !=, none for exists. */
  readonly values: readonly string[];
}

export interface Constraint {
  readonly text: string;
  /** One of them has to hold. */
  readonly alternatives: readonly Term[];
}

export type ParsedConstraint = { readonly ok: true; readonly constraint: Constraint } | { readonly ok: false; readonly problem: string };

const KEY = /[a-z_][a-z0-9_.\-/]*/iy;
const MAX_LENGTH = 512;
const FORMS = 'KEY==VALUE, KEY!=VALUE, KEY in (A, B), KEY notin (A, B) or KEY exists';

/** `problem` says what is wrong with the text, at which character (from 1), and how it should look. */
export function parseConstraint(text: string): ParsedConstraint {
  if (text.length > MAX_LENGTH) return { ok: false, problem: `is longer than ${MAX_LENGTH} characters` };
  try {
    return { ok: true, constraint: { text, alternatives: readAlternatives(new ConstraintText(text)) } };
  } catch (error) {
    if (error instanceof MalformedConstraint) return { ok: false, problem: error.message };
    throw error;
  }
}

function readAlternatives(text: ConstraintText): readonly Term[] {
  const terms: Term[] = [];
  do terms.push(readTerm(text));
  while (text.take('||'));
  return terms;
}

function readTerm(text: ConstraintText): Term {
  text.skipBlanks();
  const start = text.position;
  const key = readKey(text);
  const operator = readOperator(text, start);
  const valuesAt = text.position;
  const values = readValues(text, operator);
  if (key.kind === 'ip') {
    const wrong = values.find((value) => !isAddressOrRange(value));
    if (wrong !== undefined) text.refuse(`"${wrong}" is neither an IP address nor a range such as 10.0.0.0/8`, valuesAt);
  }
  return { key, operator, values };
}

function readKey(text: ConstraintText): NodeKey {
  const start = text.position;
  const name = text.match(KEY);
  if (name === undefined) {
    const next = text.word();
    if (next === '') text.refuse(`a constraint is missing; write ${FORMS}`, start);
    if (/^[=!]/.test(next)) text.refuse(`there is no key before ${next.slice(0, 2)}, e.g. node.labels.zone`, start);
    text.refuse(`"${next}" is not a key: letters, digits and _ . - / are allowed`, start);
  }
  const key = parseNodeKey(name);
  if (key === undefined) text.refuse(`"${name}" names no label`, start);
  return key;
}

function readOperator(text: ConstraintText, start: number): Operator {
  text.skipBlanks();
  for (const symbol of ['==', '!='] as const) if (text.take(symbol)) return symbol;
  const at = text.position;
  const word = text.match(/[a-z]+(?![^\s(|])/iy)?.toLowerCase();
  if (word === 'in' || word === 'notin' || word === 'exists') return word;
  const rest = text.restFrom(at);
  if (rest === '' || rest.startsWith('||')) text.refuse(`"${text.restFrom(start, at)}" has no operator; write ${FORMS}`, at);
  return text.refuse(`"${rest.split(/[\s"]/)[0] ?? ''}" is no operator; write ${FORMS}`, at);
}

function readValues(text: ConstraintText, operator: Operator): readonly string[] {
  switch (operator) {
    case 'exists': {
      text.skipBlanks();
      const at = text.position;
      if (!text.isAtEnd && !text.sees('||')) text.refuse('nothing follows "exists" but || and another constraint', at);
      return [];
    }
    case 'in':
    case 'notin':
      return readList(text, operator);
    case '==':
    case '!=':
      return [text.value(operator, '')];
  }
}

function readList(text: ConstraintText, operator: Operator): readonly string[] {
  text.skipBlanks();
  if (!text.take('(')) text.refuse(`${operator} needs its values in parentheses: ${operator} (a, b)`, text.position);
  const values: string[] = [];
  do values.push(text.value(operator, ',()'));
  while (text.take(','));
  if (!text.take(')')) text.refuse('a ) is missing', text.position);
  text.skipBlanks();
  if (!text.isAtEnd && !text.sees('||')) text.refuse('nothing follows the ) but || and another constraint', text.position);
  return values;
}

function isAddressOrRange(value: string): boolean {
  const [address = '', prefix, ...rest] = value.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}
