// What the mesh itself answers: a small page that says which service and why, in the form that the client prefers. Pure.
import { STATUS_CODES } from 'node:http';
import { RETRY_AFTER_S } from './limits.ts';

export interface Problem {
  readonly status: number;
  /** "" where it is about no service. */
  readonly service: string;
  /** A sentence without its full stop. */
  readonly why: string;
}

export interface Page {
  readonly status: number;
  /** Name, value, name, value; the length and, where waiting helps, Retry-After included. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

export function pageOf(problem: Problem, accept: string | undefined): Page {
  const [type, text] = written(problem, accept ?? '');
  const body = Buffer.from(text);
  const headers = ['Content-Type', `${type}; charset=utf-8`, 'Content-Length', String(body.length), 'Cache-Control', 'no-store'];
  if (problem.status === 503) headers.push('Retry-After', String(RETRY_AFTER_S));
  return { status: problem.status, headers, body };
}

function written({ status, service, why }: Problem, accept: string): readonly [type: string, text: string] {
  const title = `${String(status)} ${STATUS_CODES[status] ?? ''}`;
  const subject = service === '' ? '' : `service ${service}: `;
  if (accept.includes('text/html')) {
    const line = `${subject}${why}.`.replace(/[&<>"']/g, (sign) => `&#${String(sign.charCodeAt(0))};`);
    return ['text/html', `<!doctype html><title>${title}</title><h1>${title}</h1><p>${line}</p>\n`];
  }
  if (/\bjson\b/.test(accept)) {
    return [
      'application/json',
      `${JSON.stringify({ status, error: STATUS_CODES[status], ...(service === '' ? {} : { service }), message: why })}\n`,
    ];
  }
  return ['text/plain', `${title}\n${subject}${why}.\n`];
}
