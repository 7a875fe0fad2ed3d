// The syntax tree of a Go template: what `if`, `range`, `with`, pipelines and calls look like.
import { templateError, type Token, tokenize } from './tokens.ts';

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipeline: Pipeline }
  | { readonly kind: 'if' | 'with'; readonly pipeline: Pipeline; readonly then: readonly Node[]; readonly otherwise: readonly Node[] }
  | { readonly kind: 'range'; readonly pipeline: Pipeline; readonly each: readonly Node[]; readonly otherwise: readonly Node[] };

export interface Pipeline {
  /** Names assigned, without "$"; two only in a range (index, element). */
  readonly variables: readonly string[];
  /** `:=` makes new variables, `=` changes ones that are there. */
  readonly declares: boolean;
  readonly commands: readonly Command[];
}

/** One call or value: the first operand, applied to the others where it is a function. */
export type Command = readonly [Operand, ...Operand[]];

export type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'path'; readonly root: PathRoot; readonly fields: readonly string[] };

export type PathRoot =
  | { readonly kind: 'dot' }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'parenthesis'; readonly pipeline: Pipeline };

/** Throws `invalid_argument` where `template` is not one. */
export function parseTemplate(template: string): readonly Node[] {
  const reader = tokenReader(tokenize(template));
  const { nodes, end } = parseBlock(reader);
  if (end !== undefined) throw templateError(`{{${end}}} without a beginning`);
  return nodes;
}

interface TokenReader {
  peek(): Token | undefined;
  next(): Token | undefined;
}

function tokenReader(tokens: readonly Token[]): TokenReader {
  let at = 0;
  return { peek: () => tokens[at], next: () => tokens[at++] };
}

/** Nodes up to the end of the text, or to an {{end}} or {{else}}, which is taken; of an else, its own opening is not yet closed. */
function parseBlock(reader: TokenReader): { readonly nodes: readonly Node[]; readonly end: 'end' | 'else' | undefined } {
  const nodes: Node[] = [];
  for (let token = reader.next(); token !== undefined; token = reader.next()) {
    if (token.kind === 'text') {
      nodes.push(token);
      continue;
    }
    const first = reader.peek();
    const word = first?.kind === 'word' ? first.text : undefined;
    switch (word) {
      case 'end':
        reader.next();
        expectClose(reader);
        return { nodes, end: 'end' };
      case 'else':
        reader.next();
        return { nodes, end: 'else' };
      case 'if':
      case 'with':
      case 'range':
        reader.next();
        nodes.push(parseControl(reader, word));
        break;
      default:
        nodes.push({ kind: 'print', pipeline: parsePipeline(reader) });
        expectClose(reader);
    }
  }
  return { nodes, end: undefined };
}

function parseControl(reader: TokenReader, kind: 'if' | 'with' | 'range'): Node {
  const pipeline = parsePipeline(reader);
  expectClose(reader);
  const body = parseBlock(reader);
  if (body.end === undefined) throw templateError(`{{${kind}}} without {{end}}`);
  const otherwise = body.end === 'else' ? parseElse(reader, kind) : [];
  return kind === 'range' ? { kind, pipeline, each: body.nodes, otherwise } : { kind, pipeline, then: body.nodes, otherwise };
}

/** After "else": either `if ...`, which goes on as a nested control and shares its {{end}}, or a plain block. */
function parseElse(reader: TokenReader, kind: string): readonly Node[] {
  const token = reader.peek();
  if (token?.kind === 'word' && (token.text === 'if' || token.text === 'with')) {
    reader.next();
    return [parseControl(reader, token.text)];
  }
  expectClose(reader);
  const { nodes, end } = parseBlock(reader);
  if (end !== 'end') throw templateError(`{{${kind}}} without {{end}}`);
  return nodes;
}

function expectClose(reader: TokenReader): void {
  const token = reader.next();
  if (token?.kind !== 'close') throw templateError(`${describe(token)} is not expected`);
}

function parsePipeline(reader: TokenReader): Pipeline {
  const assigned = parseAssignment(reader);
  const first = assigned.rest === undefined ? parseCommand(reader) : parseCommand(reader, assigned.rest);
  const commands = [first];
  while (isSymbol(reader.peek(), '|')) {
    reader.next();
    commands.push(parseCommand(reader));
  }
  return { variables: assigned.variables, declares: assigned.declares, commands };
}

/** `$a := ` or `$i, $e := ` before a pipeline; a lone variable turns out to be its first operand (`rest`). */
function parseAssignment(reader: TokenReader): { variables: readonly string[]; declares: boolean; rest: string | undefined } {
  const token = reader.peek();
  if (token?.kind !== 'variable') return { variables: [], declares: false, rest: undefined };
  reader.next();
  const variables = [token.name];
  if (isSymbol(reader.peek(), ',')) {
    reader.next();
    const second = reader.next();
    if (second?.kind !== 'variable') throw templateError('a variable is expected after ","');
    variables.push(second.name);
  }
  const declares = isSymbol(reader.peek(), ':=');
  if (declares || isSymbol(reader.peek(), '=')) {
    reader.next();
    return { variables, declares, rest: undefined };
  }
  if (variables.length > 1) throw templateError('":=" is expected after the variables');
  return { variables: [], declares: false, rest: token.name };
}

function parseCommand(reader: TokenReader, startVariable?: string): Command {
  const operands: Operand[] = [];
  if (startVariable !== undefined) operands.push(path(reader, { kind: 'variable', name: startVariable }));
  for (let operand = parseOperand(reader); operand !== undefined; operand = parseOperand(reader)) operands.push(operand);
  const [first, ...others] = operands;
  if (first === undefined) throw templateError(`a value is missing before ${describe(reader.peek())}`);
  if (others.length > 0 && first.kind !== 'function') throw templateError('only functions take arguments');
  return [first, ...others];
}

function parseOperand(reader: TokenReader): Operand | undefined {
  const token = reader.peek();
  switch (token?.kind) {
    case 'string':
    case 'number':
      reader.next();
      return { kind: 'literal', value: token.value };
    case 'word':
      reader.next();
      return wordOperand(token.text);
    case 'variable':
      reader.next();
      return path(reader, { kind: 'variable', name: token.name });
    case 'field':
      reader.next();
      return path(reader, { kind: 'dot' }, token.name);
    case 'symbol':
      return token.text === '(' ? parenthesis(reader) : undefined;
    default:
      return undefined;
  }
}

function parenthesis(reader: TokenReader): Operand {
  reader.next();
  const pipeline = parsePipeline(reader);
  if (!isSymbol(reader.next(), ')')) throw templateError('a "(" is not closed');
  return path(reader, { kind: 'parenthesis', pipeline });
}

function wordOperand(word: string): Operand {
  if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true' };
  if (word === 'nil') return { kind: 'literal', value: null };
  return { kind: 'function', name: word };
}

/** Takes the fields that follow without a space: `.Spec.Name`, `$x.ID`, `(index . 0).ID`. */
function path(reader: TokenReader, root: PathRoot, firstField = ''): Operand {
  const fields = firstField === '' ? [] : [firstField];
  for (;;) {
    const token = reader.peek();
    if (token?.kind !== 'field' || token.spaceBefore || token.name === '') return { kind: 'path', root, fields };
    reader.next();
    fields.push(token.name);
  }
}

function isSymbol(token: Token | undefined, text: string): boolean {
  return token?.kind === 'symbol' && token.text === text;
}

function describe(token: Token | undefined): string {
  switch (token?.kind) {
    case undefined:
    case 'close':
    case 'open':
    case 'text':
      return 'the end of the action';
    case 'string':
      return JSON.stringify(token.value);
    case 'number':
      return String(token.value);
    case 'variable':
      return `"$${token.name}"`;
    case 'field':
      return `".${token.name}"`;
    case 'word':
    case 'symbol':
      return `"${token.text}"`;
  }
}
