// The cookie by which a client comes back to its replica. Its value tells nothing of the task. Pure.
import { createHash } from 'node:crypto';

/** Enough to tell the tasks of a service apart. */
const VALUE_LENGTH = 22;

export function cookieValueOf(taskId: string): string {
  return createHash('sha256').update(`shoal replica ${taskId}`).digest('base64url').slice(0, VALUE_LENGTH);
}

/** Of the first cookie of this name in a Cookie header. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}

export function setCookie(name: string, value: string, secure: boolean): string {
  return `${name}=${value}; Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
}
