// Splits a Go template into literal text and the tokens of its {{actions}}.
import { ShoalError } from '../../../lib/errors.ts';

export type Token =
  | { readonly kind: 'text'; readonly text: string }
  /** Start and end of one action. */
  | { readonly kind: 'open' }
  | { readonly kind: 'close' }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'word'; readonly text: string }
  /** ".Name"; "." alone has an empty name. */
  | { readonly kind: 'field'; readonly name: string; readonly spaceBefore: boolean }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'symbol'; readonly text: '|' | '(' | ')' | ',' | ':=' | '=' };

export function templateError(message: string): ShoalError {
  return new ShoalError('invalid_argument', `the template is wrong: ${message}`);
}

/** Throws `invalid_argument` on an action that is not closed, and on characters that mean nothing. */
export function tokenize(template: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let trimNext = false;
  const pushText = (text: string): void => {
    const trimmed = trimNext ? text.trimStart() : text;
    if (trimmed !== '') tokens.push({ kind: 'text', text: trimmed });
  };
  while (at < template.length) {
    const open = template.indexOf('{{', at);
    if (open === -1) {
      pushText(template.slice(at));
      break;
    }
    const trimsBefore = /^-\s/.test(template.slice(open + 2, open + 4));
    const text = template.slice(at, open);
    pushText(trimsBefore ? text.trimEnd() : text);
    const action = readAction(template, trimsBefore ? open + 3 : open + 2);
    tokens.push(...action.tokens);
    trimNext = action.trimsAfter;
    at = action.end;
  }
  return tokens;
}

interface Action {
  readonly tokens: readonly Token[];
  readonly end: number;
  readonly trimsAfter: boolean;
}

const COMMENT = /\s*\/\*[\s\S]*?\*\/\s*(-?)\}\}/y;
const CLOSE = /\s+-\}\}|\s*\}\}/y;
const SPACE = /\s+/y;
const TOKEN =
  /(?<string>"(?:[^"\\\n]|\\.)*")|`(?<raw>[^`]*)`|(?<number>[-+]?\d+(?:\.\d+)?)|\$(?<variable>\w*)|\.(?<field>[A-Za-z_]\w*)?|(?<word>[A-Za-z_]\w*)|(?<symbol>:=|[|(),=])/y;

function readAction(template: string, start: number): Action {
  const comment = matchAt(COMMENT, template, start);
  if (comment !== undefined) return { tokens: [], end: start + comment[0].length, trimsAfter: comment[1] === '-' };
  const tokens: Token[] = [{ kind: 'open' }];
  let at = start;
  for (;;) {
    const close = matchAt(CLOSE, template, at);
    if (close !== undefined) {
      tokens.push({ kind: 'close' });
      return { tokens, end: at + close[0].length, trimsAfter: close[0].includes('-') };
    }
    const space = matchAt(SPACE, template, at)?.[0].length ?? 0;
    at += space;
    const match = matchAt(TOKEN, template, at);
    if (match === undefined)
      throw templateError(at >= template.length ? 'an action is not closed by }}' : `"${template.charAt(at)}" is not expected`);
    tokens.push(tokenOf(match, space > 0));
    at += match[0].length;
  }
}

function tokenOf(match: RegExpExecArray, spaceBefore: boolean): Token {
  const groups = match.groups ?? {};
  const { string, raw, number, variable, word, symbol, field } = groups;
  if (string !== undefined) return { kind: 'string', value: unquote(string) };
  if (raw !== undefined) return { kind: 'string', value: raw };
  if (number !== undefined) return { kind: 'number', value: Number(number) };
  if (variable !== undefined) return { kind: 'variable', name: variable };
  if (word !== undefined) return { kind: 'word', text: word };
  if (symbol !== undefined) return { kind: 'symbol', text: symbol as '|' };
  return { kind: 'field', name: field ?? '', spaceBefore };
}

function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    throw templateError(`${quoted} is not a string`);
  }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}
