// Reads the head of a request or of an answer, strictly: what two readers could take for two different things is refused, for that is how requests are
// smuggled past a proxy. Every line ends with CR LF, no line is folded, names are tokens with their colon right behind them, nothing has control characters.
// It accepts less than Node's own parser, and means the same by what it accepts (test/property/mesh/http-heads.test.ts). Pure.
import { METHODS } from 'node:http';
import { MAX_HEAD_BYTES, MAX_HEADERS } from './limits.ts';

/** The fields of a head, or of trailers, as they came. */
export interface Fields {
  /** What they stand in, byte for byte (latin1), with the empty line that ends them. */
  readonly text: string;
  /** Lower-cased. */
  readonly names: readonly string[];
  /** In `text`, three of each field: where its line begins, where its value begins, and where that ends. One more at the end: where the empty line begins. */
  readonly bounds: readonly number[];
}

export interface RequestHead extends Fields {
  readonly method: string;
  readonly target: string;
  /** Of HTTP/1.0 or HTTP/1.1. */
  readonly minor: number;
}

export interface AnswerHead extends Fields {
  readonly status: number;
  readonly reason: string;
  readonly minor: number;
}

export interface Refusal {
  readonly status: number;
  /** A clause, as "it has two lengths". */
  readonly why: string;
}

/** Undefined: the head does not end before `to`. Its length in bytes is that of its `text`. */
export type Read<T> = (bytes: Buffer, from: number, to: number) => T | Refusal | undefined;

const TOKEN = 1;
const VALUE = 2;
const TARGET = 4;
const SIGNS = new Uint8Array(256);
for (let sign = 0; sign < 256; sign++) {
  const text = String.fromCharCode(sign);
  if (/^[\w!#$%&'*+.^`|~-]$/.test(text)) SIGNS[sign] = TOKEN;
  if (sign === 9 || (sign >= 32 && sign !== 127)) SIGNS[sign] = (SIGNS[sign] ?? 0) | VALUE;
  // Without "#": a fragment is never sent.
  if (sign > 32 && sign < 127 && text !== '#') SIGNS[sign] = (SIGNS[sign] ?? 0) | TARGET;
}

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);
/** "HTTP/1.1", and a space before it or behind. */
const VERSION_LENGTH = 8;
/** Longest there is, in any registry. */
const MAX_METHOD_LENGTH = 24;

/** Instead of an index. */
const INCOMPLETE = -1;
const BAD_LINE_END = -2;
const BAD_NAME = -3;
const FOLDED = -4;
const TOO_MANY = -5;

export function readRequestHead(bytes: Buffer, from: number, to: number): RequestHead | Refusal | undefined {
  let at = passed(bytes, from, to, TOKEN);
  if (at === to) return at - from > MAX_METHOD_LENGTH ? NO_START_LINE : undefined;
  if (bytes[at] !== SPACE) return NO_START_LINE;
  const method = bytes.toString('latin1', from, at);
  if (!KNOWN_METHODS.has(method)) return { status: 400, why: 'its method is not known' };
  const targetFrom = at + 1;
  at = passed(bytes, targetFrom, to, TARGET);
  if (at === to) return unlessTooLong(from, to);
  if (bytes[at] !== SPACE || at === targetFrom) return { status: 400, why: 'its target has signs that may not be in one' };
  const lineEnd = at + 1 + VERSION_LENGTH;
  if (lineEnd + 2 > to) return refusedVersion(bytes.toString('latin1', at + 1, to));
  const minor = minorOf(bytes.toString('latin1', at + 1, lineEnd));
  if (minor === undefined || bytes[lineEnd] !== CR || bytes[lineEnd + 1] !== LF) return NO_START_LINE;
  const bounds: number[] = [];
  const end = scanFields(bytes, from, lineEnd + 2, to, bounds, MAX_HEADERS);
  if (end < 0) return end === INCOMPLETE ? unlessTooLong(from, to) : refusalOf(end);
  if (end - from > MAX_HEAD_BYTES) return TOO_LONG;
  const text = bytes.toString('latin1', from, end);
  return { text, names: namesOf(text, bounds), bounds, method, target: text.slice(targetFrom - from, at - from), minor };
}

export function readAnswerHead(bytes: Buffer, from: number, to: number): AnswerHead | Refusal | undefined {
  // "HTTP/1.1 200"
  const statusEnd = from + VERSION_LENGTH + 4;
  if (statusEnd + 2 > to) return refusedVersion(bytes.toString('latin1', from, Math.min(to, from + VERSION_LENGTH)));
  const minor = minorOf(bytes.toString('latin1', from, from + VERSION_LENGTH));
  const digits = bytes.toString('latin1', from + VERSION_LENGTH, statusEnd);
  if (minor === undefined || !/^ [1-9]\d\d$/.test(digits)) return NO_START_LINE;
  let at = statusEnd;
  if (bytes[at] === SPACE) at = passed(bytes, at, to, VALUE);
  if (at + 1 >= to) return unlessTooLong(from, to);
  if (bytes[at] !== CR || bytes[at + 1] !== LF) return NO_START_LINE;
  const bounds: number[] = [];
  const end = scanFields(bytes, from, at + 2, to, bounds, Infinity);
  if (end < 0) return end === INCOMPLETE ? unlessTooLong(from, to) : refusalOf(end);
  if (end - from > MAX_HEAD_BYTES) return TOO_LONG;
  const text = bytes.toString('latin1', from, end);
  const reason = text.slice(statusEnd - from + 1, at - from);
  return { text, names: namesOf(text, bounds), bounds, status: Number(digits), reason, minor };
}

/** Trailers: fields without a start line. */
export function readTrailers(bytes: Buffer, from: number, to: number): Fields | Refusal | undefined {
  const bounds: number[] = [];
  const end = scanFields(bytes, from, from, to, bounds, MAX_HEADERS);
  if (end < 0) return end === INCOMPLETE ? unlessTooLong(from, to) : refusalOf(end);
  const text = bytes.toString('latin1', from, end);
  return { text, names: namesOf(text, bounds), bounds };
}

/** Of a head that is not whole yet: what no head may have, so that nobody waits for the rest of what is none. */
export function refusedAlready(bytes: Buffer, from: number, to: number): Refusal | undefined {
  for (let at = from; at < to; at++) {
    if (is(bytes[at], VALUE) || bytes[at] === CR) continue;
    if (bytes[at] !== LF || bytes[at - 1] !== CR) return bytes[at] === LF ? refusalOf(BAD_LINE_END) : NO_START_LINE;
  }
  return undefined;
}

export function valueAt({ text, bounds }: Fields, index: number): string {
  return text.slice(bounds[3 * index + 1], bounds[3 * index + 2]);
}

/** Of all fields of this lower-cased name, joined; undefined without one. */
export function valueOf(fields: Fields, name: string, joint = ', '): string | undefined {
  let value: string | undefined;
  for (let index = fields.names.indexOf(name); index >= 0; index = fields.names.indexOf(name, index + 1)) {
    value = value === undefined ? valueAt(fields, index) : `${value}${joint}${valueAt(fields, index)}`;
  }
  return value;
}

/** Signs of a token, and nothing else. */
export function isToken(text: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(text);
}

/** From `start` to behind the empty line. `base`: where the text begins. */
function scanFields(bytes: Buffer, base: number, start: number, to: number, bounds: number[], most: number): number {
  let at = start;
  for (let count = 0; ; count++) {
    const line = at;
    at = passed(bytes, line, to, TOKEN);
    if (at === to) return INCOMPLETE;
    if (at === line) {
      if (bytes[at] !== CR) return bytes[at] === SPACE || bytes[at] === TAB ? FOLDED : bytes[at] === LF ? BAD_LINE_END : BAD_NAME;
      if (at + 1 === to) return INCOMPLETE;
      if (bytes[at + 1] !== LF) return BAD_LINE_END;
      bounds.push(at - base);
      return at + 2;
    }
    if (bytes[at] !== COLON) return BAD_NAME;
    if (count === most) return TOO_MANY;
    do at++;
    while (at < to && (bytes[at] === SPACE || bytes[at] === TAB));
    const valueFrom = at;
    at = passed(bytes, at, to, VALUE);
    if (at + 1 >= to) return INCOMPLETE;
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return BAD_LINE_END;
    let valueEnd = at;
    while (valueEnd > valueFrom && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--;
    bounds.push(line - base, valueFrom - base, valueEnd - base);
    at += 2;
  }
}

function namesOf(text: string, bounds: readonly number[]): string[] {
  const names: string[] = [];
  for (let at = 0; at + 1 < bounds.length; at += 3) names.push(text.slice(bounds[at], text.indexOf(':', bounds[at])).toLowerCase());
  return names;
}

/** The first from `at` that is not of the kind, or `to`. */
function passed(bytes: Buffer, from: number, to: number, kind: number): number {
  let at = from;
  while (at < to && is(bytes[at], kind)) at++;
  return at;
}

function is(sign: number | undefined, kind: number): boolean {
  return ((SIGNS[sign ?? 0] ?? 0) & kind) !== 0;
}

function minorOf(version: string): number | undefined {
  if (version === 'HTTP/1.1') return 1;
  return version === 'HTTP/1.0' ? 0 : undefined;
}

/** Of a version that is not whole yet. */
function refusedVersion(start: string): Refusal | undefined {
  const version = start.slice(0, VERSION_LENGTH);
  return 'HTTP/1.1'.startsWith(version) || 'HTTP/1.0'.startsWith(version) ? undefined : NO_START_LINE;
}

const NO_START_LINE: Refusal = { status: 400, why: 'it does not begin as HTTP/1.1 does' };
export const TOO_LONG: Refusal = { status: 431, why: `its head is longer than ${String(MAX_HEAD_BYTES)} bytes` };

function unlessTooLong(from: number, to: number): Refusal | undefined {
  return to - from > MAX_HEAD_BYTES ? TOO_LONG : undefined;
}

function refusalOf(code: number): Refusal {
  switch (code) {
    case FOLDED:
      return { status: 400, why: 'it has a folded header' };
    case BAD_NAME:
      return { status: 400, why: 'the name of a header has signs that may not be in one, or a space before its colon' };
    case TOO_MANY:
      return { status: 431, why: `it has more than ${String(MAX_HEADERS)} headers` };
    default:
      return { status: 400, why: 'its head has control characters, or a line that does not end with CR LF' };
  }
}
