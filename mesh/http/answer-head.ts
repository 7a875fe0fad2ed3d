// The head of an answer as a client gets it. Pure.
import { STATUS_CODES } from 'node:http';
import { CHUNKED, type Framing, UNTIL_CLOSE } from './framing.ts';
import { type AnswerHead } from './head.ts';
import { endToEnd } from './headers.ts';
import { CLIENT_KEEP_ALIVE_MS } from './limits.ts';
import { type Page } from './page.ts';

export interface AnswerEnds {
  /** Where the body ends. */
  readonly framing: Framing;
  /** The client speaks HTTP/1.0: it knows no chunks. */
  readonly old: boolean;
  /** The connection is kept for further requests. */
  readonly keepAlive: boolean;
  /** Lines of the mesh's own. */
  readonly more: string;
}

const KEPT = `Connection: keep-alive\r\nKeep-Alive: timeout=${String(CLIENT_KEEP_ALIVE_MS / 1000)}\r\n`;
const ENDED = 'Connection: close\r\n';

/** As latin1, with the empty line. */
export function answerHead(head: AnswerHead, { framing, old, keepAlive, more }: AnswerEnds): string {
  const { status, reason } = head;
  // A status without a body may not have a length, and 304 has that of what it stands for.
  const kept = endToEnd(head, (name) => (name === 'trailer' && old) || (name === 'content-length' && status === 204));
  const chunked = (framing === CHUNKED || framing === UNTIL_CLOSE) && !old ? 'Transfer-Encoding: chunked\r\n' : '';
  return `HTTP/1.1 ${String(status)} ${reason}\r\n${kept}${more}${chunked}${keepAlive ? KEPT : ENDED}\r\n`;
}

/** An answer ahead of the answer. */
export function informationHead(head: AnswerHead): string {
  return `HTTP/1.1 ${String(head.status)} ${head.reason}\r\n${endToEnd(head, (name) => name === 'content-length')}\r\n`;
}

/** A page of the mesh's own, whole; `bodiless`: to a HEAD request. `wallMs`: now. */
export function pageAnswer(page: Page, keepAlive: boolean, bodiless: boolean, wallMs: number): Buffer {
  const date = new Date(wallMs).toUTCString();
  let head = `HTTP/1.1 ${String(page.status)} ${STATUS_CODES[page.status] ?? ''}\r\nDate: ${date}\r\n`;
  for (let at = 0; at < page.headers.length; at += 2) head += `${page.headers[at] ?? ''}: ${page.headers[at + 1] ?? ''}\r\n`;
  const start = Buffer.from(`${head}${keepAlive ? KEPT : ENDED}\r\n`, 'latin1');
  return bodiless ? start : Buffer.concat([start, page.body]);
}
