// Turns a tag into a digest by asking its registry, once, within three seconds and without a retry: a registry that does not answer must
// not hold up a deploy. Speaks the Registry v2 API: HEAD of the manifest, with Basic or Bearer authentication where it is asked for.
import { type Clock, withDeadline } from '../../../lib/clock.ts';
import { messageOf, ShoalError } from '../../../lib/errors.ts';
import type { Platform } from '../../../proto/index.ts';
import { type ImageReference, parseImageReference, pinned } from './image-reference.ts';
import { manifestDigest, type ManifestRequest, wholeManifest } from './manifest.ts';
import { platformsOf } from './platforms.ts';
import { readRegistryAuth } from './registry-auth.ts';

export interface ImageResolver {
  /**
   * The image pinned to its digest ("nginx:1.27@sha256:..."); an image that has a digest already comes back as it is.
   * `registryAuth` is Docker's X-Registry-Auth, or empty. Rejects with the reason in plain words, as the end of a sentence.
   */
  resolve(image: string, registryAuth: string, signal: AbortSignal): Promise<string>;
  /** The platforms that a pinned image is for; empty where it does not say. Rejects likewise. */
  platforms(image: string, registryAuth: string, signal: AbortSignal): Promise<readonly Platform[]>;
}

export interface ImageResolverOptions {
  readonly clock: Clock;
  /** host[:port] of registries that are asked over plain HTTP; those on loopback always are. */
  readonly insecureRegistries: readonly string[];
}

const DEADLINE_MS = 3000;
const HUB_HOST = 'registry-1.docker.io';

export function createImageResolver({ clock, insecureRegistries }: ImageResolverOptions): ImageResolver {
  const baseUrlOf = (domain: string): string => {
    const host = domain === 'docker.io' ? HUB_HOST : domain;
    return `${insecureRegistries.includes(domain) || isLoopback(domain) ? 'http' : 'https'}://${host}`;
  };
  const ask = async <T>(
    { domain, repository, tag, digest }: ImageReference,
    registryAuth: string,
    signal: AbortSignal,
    question: (request: ManifestRequest, ended: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const request = { baseUrl: baseUrlOf(domain), repository, tag: digest ?? tag ?? 'latest', auth: readRegistryAuth(registryAuth) };
    try {
      return await withDeadline(clock, DEADLINE_MS, domain, (ended) => question(request, ended), signal);
    } catch (error) {
      throw new ShoalError('unavailable', reasonOf(error, domain), { cause: error });
    }
  };
  return {
    async resolve(image, registryAuth, signal) {
      const reference = referenceOf(image);
      if (reference.digest !== undefined) return image;
      return pinned(reference, await ask(reference, registryAuth, signal, manifestDigest));
    },
    platforms: (image, registryAuth, signal) =>
      ask(referenceOf(image), registryAuth, signal, async (request, ended) => platformsOf(await wholeManifest(request, ended))),
  };
}

function referenceOf(image: string): ImageReference {
  const parsed = parseImageReference(image);
  if (!parsed.ok) throw new ShoalError('invalid_argument', parsed.reason);
  return parsed.reference;
}

function isLoopback(domain: string): boolean {
  const host = domain.replace(/:\d+$/, '');
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** fetch says only "fetch failed"; what happened stands in its cause. */
function reasonOf(error: unknown, domain: string): string {
  if (error instanceof ShoalError) return error.message;
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return `${domain} cannot be reached: ${cause === undefined ? messageOf(error) : messageOf(cause) || 'connection failed'}`;
}
