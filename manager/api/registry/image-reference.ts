// Image names as Docker reads them: [domain/]path[:tag][@digest], with Docker Hub's defaults. Pure.
// The grammar is that of the distribution project's reference format.

export interface ImageReference {
  /** "docker.io", "registry.example.com:5000", ... */
  readonly domain: string;
  /** "library/nginx"; what follows the domain. */
  readonly repository: string;
  /** "latest" where neither tag nor digest was given. */
  readonly tag: string | undefined;
  /** "sha256:..." */
  readonly digest: string | undefined;
  /** As written, without tag and digest. */
  readonly familiarName: string;
}

export type ReferenceResult = { readonly ok: true; readonly reference: ImageReference } | { readonly ok: false; readonly reason: string };

const HUB = 'docker.io';
const MAX_NAME_LENGTH = 255;
const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const SHA256 = /^sha256:[0-9a-f]{64}$/;
const BARE_ID = /^[0-9a-f]{64}$/;

export function parseImageReference(image: string): ReferenceResult {
  if (image === '') return refuse('an image is needed, e.g. nginx:1.27');
  if (BARE_ID.test(image)) return refuse('an image id names nothing on other nodes; give a repository name');
  const [beforeDigest = '', digest, ...more] = image.split('@');
  if (more.length > 0) return refuse('has more than one @');
  if (digest !== undefined && !isDigest(digest)) return refuse(`"${digest}" is not a digest such as sha256:<64 hex digits>`);
  const colon = beforeDigest.lastIndexOf(':');
  const tagged = colon > beforeDigest.lastIndexOf('/');
  const familiarName = tagged ? beforeDigest.slice(0, colon) : beforeDigest;
  const tag = tagged ? beforeDigest.slice(colon + 1) : undefined;
  if (tag !== undefined && !TAG.test(tag)) return refuse(`"${tag}" is not a tag: letters, digits, _ . -, at most 128`);
  const { domain, repository } = split(familiarName);
  if (!DOMAIN.test(domain)) return refuse(`"${domain}" is not a registry's host[:port]`);
  const wrong = repository.split('/').find((component) => !COMPONENT.test(component));
  if (wrong !== undefined) return refuse(`"${wrong}" is not part of an image name: lower-case letters, digits, separated by . _ -`);
  if (domain.length + 1 + repository.length > MAX_NAME_LENGTH) return refuse(`the name is longer than ${MAX_NAME_LENGTH} characters`);
  const effectiveTag = tag ?? (digest === undefined ? 'latest' : undefined);
  return { ok: true, reference: { domain, repository, tag: effectiveTag, digest, familiarName } };
}

/** The reference with its tag and digest, as users know it: "nginx:1.27@sha256:...". */
export function pinned(reference: ImageReference, digest: string): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  return `${reference.familiarName}${tag}@${digest}`;
}

export function isDigest(text: string): boolean {
  return text.startsWith('sha256:') ? SHA256.test(text) : DIGEST.test(text);
}

function split(name: string): { readonly domain: string; readonly repository: string } {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isDomain = first !== '' && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const domain = isDomain ? first : HUB;
  const path = isDomain ? name.slice(slash + 1) : name;
  if (domain !== HUB && domain !== 'index.docker.io') return { domain, repository: path };
  return { domain: HUB, repository: path.includes('/') ? path : `library/${path}` };
}

function refuse(reason: string): ReferenceResult {
  return { ok: false, reason };
}
