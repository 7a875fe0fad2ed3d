// GET of a path; a status from 200 to 399 is healthy. Redirects are not followed, certificates not verified, bodies not read.
import { request as httpRequest, STATUS_CODES } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { HttpCheck } from '../../proto/index.ts';
import { abortReason, networkReason } from './tcp-check.ts';
import { type Address, formatAddress } from './target.ts';
import type { Answer } from './verdict.ts';

/** Never rejects. */
export function httpCheck(check: HttpCheck, address: Address, signal: AbortSignal): Promise<Answer> {
  const what = `GET ${check.tls ? 'https' : 'http'}://${formatAddress(address)}${check.path}`;
  return new Promise((resolve) => {
    const failed = (reason: string): void => {
      resolve({ kind: 'failed', reason: `${what}: ${reason}` });
    };
    if (signal.aborted) {
      failed(abortReason(signal));
      return;
    }
    const headers: Record<string, string[]> = { 'user-agent': ['shoal-probe'], accept: ['*/*'] };
    for (const { name, value } of check.headers) (headers[name.toLowerCase()] ??= []).push(value);
    const send = check.tls ? httpsRequest : httpRequest;
    const request = send({
      host: address.host,
      port: address.port,
      path: check.path,
      headers: { ...headers, host: check.host || formatAddress(address) },
      agent: false,
      rejectUnauthorized: false,
    });
    const onAbort = (): void => {
      failed(abortReason(signal));
      request.destroy();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    request.once('close', () => signal.removeEventListener('abort', onAbort));
    request.once('response', (response) => {
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 400) resolve({ kind: 'passed' });
      else failed(`${String(status)} ${response.statusMessage || (STATUS_CODES[status] ?? '')}`.trim());
      request.destroy();
    });
    // Destroying it on purpose ends here too, when the answer is given already.
    request.on('error', (error) => {
      failed(networkReason(error));
    });
    request.end();
  });
}
