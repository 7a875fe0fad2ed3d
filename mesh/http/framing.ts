// Where the body of a message ends (RFC 9112, 6.3), by its head alone; whatever could be read in two ways is refused. Pure.
import { type AnswerHead, type Fields, type Refusal, type RequestHead, valueAt } from './head.ts';

/** A length in bytes, or one of the two below. */
export type Framing = number;
export const CHUNKED: Framing = -1;
export const UNTIL_CLOSE: Framing = -2;

/** Far below where numbers lose their last digits, and far above any body. */
const MAX_LENGTH_DIGITS = 15;

export function requestFraming(head: RequestHead): Framing | Refusal {
  const framing = framingOf(head);
  return framing ?? 0;
}

/** `bodiless`: to a HEAD request. */
export function answerFraming(head: AnswerHead, bodiless: boolean): Framing | Refusal {
  const framing = framingOf(head);
  if (typeof framing === 'object') return framing;
  if (bodiless || head.status < 200 || head.status === 204 || head.status === 304) return 0;
  return framing ?? UNTIL_CLOSE;
}

function framingOf(head: Fields & { readonly minor: number }): Framing | Refusal | undefined {
  const { names } = head;
  const length = names.indexOf('content-length');
  const coding = names.indexOf('transfer-encoding');
  if (coding >= 0) {
    if (length >= 0) return bad('it has both Content-Length and Transfer-Encoding');
    if (head.minor === 0) return bad('HTTP/1.0 has no Transfer-Encoding');
    if (names.includes('transfer-encoding', coding + 1)) return bad('it has more than one Transfer-Encoding');
    if (valueAt(head, coding).toLowerCase() === 'chunked') return CHUNKED;
    return { status: 501, why: 'its Transfer-Encoding is not known here; only chunked is' };
  }
  if (length < 0) return undefined;
  if (names.includes('content-length', length + 1)) return bad('it has more than one Content-Length');
  // With a tab behind it there are readers that do not take it.
  const digits = valueAt(head, length) + tabsBehind(head, length);
  if (digits.length > MAX_LENGTH_DIGITS || !/^\d+$/.test(digits)) return bad('its Content-Length is no length');
  return Number(digits);
}

function tabsBehind({ text, bounds }: Fields, index: number): string {
  return text.slice(bounds[3 * index + 2], bounds[3 * index + 3]).replace(/[^\t]/g, '');
}

function bad(why: string): Refusal {
  return { status: 400, why };
}
