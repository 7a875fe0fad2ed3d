// One manifest over the Registry v2 API, with the authentication that the registry asks for: its digest, or the whole of it.
import { createHash } from 'node:crypto';
import { ShoalError } from '../../../lib/errors.ts';
import { isDigest } from './image-reference.ts';
import { basicAuth, type RegistryAuth } from './registry-auth.ts';

export interface ManifestRequest {
  /** "https://registry-1.docker.io". */
  readonly baseUrl: string;
  readonly repository: string;
  /** Or a digest. */
  readonly tag: string;
  readonly auth: RegistryAuth | undefined;
}

/** Lists first: a tag of a multi-platform image resolves to the list, so that every node picks its own platform from it. */
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
/** The specification's own bound for manifests. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const MAX_TOKEN_BYTES = 64 * 1024;

/** Throws a ShoalError with the registry's refusal in plain words, or fetch's own error. */
export async function manifestDigest(request: ManifestRequest, signal: AbortSignal): Promise<string> {
  const first = await askManifest(request, 'HEAD', undefined, signal);
  if (first.status !== 401) return digestFrom(request, first, undefined, signal);
  const authorization = await authorize(request, first.headers.get('www-authenticate') ?? '', signal);
  return digestFrom(request, await askManifest(request, 'HEAD', authorization, signal), authorization, signal);
}

export interface Manifest {
  readonly body: unknown;
  /** Another document of the same repository, such as the image's configuration. */
  blob(digest: string): Promise<unknown>;
}

/** Throws as `manifestDigest` does; SyntaxError for what is not JSON. */
export async function wholeManifest(request: ManifestRequest, signal: AbortSignal): Promise<Manifest> {
  let authorization: string | undefined;
  let answer = await askManifest(request, 'GET', undefined, signal);
  if (answer.status === 401) {
    authorization = await authorize(request, answer.headers.get('www-authenticate') ?? '', signal);
    answer = await askManifest(request, 'GET', authorization, signal);
  }
  const read = async (from: Response): Promise<unknown> => {
    refuseFailure(request, from);
    return JSON.parse((await readBounded(from, MAX_MANIFEST_BYTES)).toString());
  };
  return {
    body: await read(answer),
    blob: async (digest) => {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      return read(await fetch(`${request.baseUrl}/v2/${request.repository}/blobs/${digest}`, { headers, signal }));
    },
  };
}

async function digestFrom(
  request: ManifestRequest,
  answer: Response,
  authorization: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  refuseFailure(request, answer);
  const digest = answer.headers.get('docker-content-digest');
  if (digest !== null && isDigest(digest)) return digest;
  const whole = await askManifest(request, 'GET', authorization, signal);
  refuseFailure(request, whole);
  const body = await readBounded(whole, MAX_MANIFEST_BYTES);
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

function askManifest(
  { baseUrl, repository, tag }: ManifestRequest,
  method: 'HEAD' | 'GET',
  authorization: string | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const headers = authorization === undefined ? { accept: ACCEPT } : { accept: ACCEPT, authorization };
  return fetch(`${baseUrl}/v2/${repository}/manifests/${tag}`, { method, headers, signal });
}

function refuseFailure({ baseUrl, repository, tag }: ManifestRequest, answer: Response): void {
  if (answer.ok) return;
  const host = new URL(baseUrl).host;
  const reasons: Readonly<Record<number, string>> = {
    401: `${host} denies access to ${repository}: log in, or check the name`,
    403: `${host} denies access to ${repository}: log in, or check the name`,
    404: `${host} has no ${repository}:${tag}`,
    429: `${host} refuses more requests for now (rate limit)`,
  };
  throw new ShoalError('unavailable', reasons[answer.status] ?? `${host} answers with status ${answer.status}`);
}

/** The Authorization header for a second attempt, by what the registry's challenge asks for. */
async function authorize({ baseUrl, repository, auth }: ManifestRequest, challenge: string, signal: AbortSignal): Promise<string> {
  const host = new URL(baseUrl).host;
  if (/^basic\b/i.test(challenge)) {
    if (auth === undefined) throw new ShoalError('unauthenticated', `${host} asks for a login`);
    return basicAuth(auth);
  }
  const parameters = new Map([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]));
  const realm = parameters.get('realm');
  if (!/^bearer\b/i.test(challenge) || realm === undefined || !URL.canParse(realm)) {
    throw new ShoalError('unauthenticated', `${host} asks for an authentication that is not known: "${challenge.slice(0, 100)}"`);
  }
  const url = new URL(realm);
  if (url.protocol !== 'https:' && !baseUrl.startsWith('http:')) {
    throw new ShoalError('unauthenticated', `${host} wants the login sent unencrypted to ${url.host}`);
  }
  const service = parameters.get('service') ?? '';
  const scope = parameters.get('scope') ?? `repository:${repository}:pull`;
  const answer = await askToken(url, service, scope, auth, signal);
  if (!answer.ok) throw new ShoalError('unauthenticated', `${url.host} gives no access to ${repository} (status ${answer.status})`);
  return `Bearer ${tokenIn(await readBounded(answer, MAX_TOKEN_BYTES), url.host)}`;
}

function askToken(url: URL, service: string, scope: string, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<Response> {
  if (auth !== undefined && auth.identityToken !== '') {
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: auth.identityToken,
      client_id: 'shoal',
      service,
      scope,
    });
    return fetch(url, { method: 'POST', body, signal });
  }
  url.searchParams.set('service', service);
  url.searchParams.set('scope', scope);
  return fetch(url, { headers: auth === undefined ? {} : { authorization: basicAuth(auth) }, signal });
}

function tokenIn(body: Buffer, host: string): string {
  try {
    const answer = JSON.parse(body.toString()) as { readonly token?: unknown; readonly access_token?: unknown };
    const token = answer.token ?? answer.access_token;
    if (typeof token === 'string') return token;
  } catch {
    // Said below.
  }
  throw new ShoalError('unauthenticated', `${host} answers without a token`);
}

async function readBounded(answer: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  if (answer.body === null) return Buffer.alloc(0);
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new ShoalError('unavailable', `${new URL(answer.url).host} answers with more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
