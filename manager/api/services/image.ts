// When an image is resolved to its digest, and asked for its platforms: once for each create, and for each update that concerns the image.
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../../lib/errors.ts';
import { Placement, type Platform, type ServiceSpec } from '../../../proto/index.ts';
import type { ApiContext } from '../context.ts';
import { parseImageReference } from '../registry/image-reference.ts';

export interface ImageRequest {
  readonly registryAuth: string;
  readonly noResolveImage: boolean;
}

export interface ResolvedSpec {
  readonly spec: ServiceSpec;
  readonly warnings: readonly string[];
}

/** Runs a program of the node: nothing to resolve. */
const PROCESS_IMAGE = 'process';

/**
 * Keeps the digest that the request brings where the image is the one of `stored`: such an update does not concern the image.
 * Otherwise asks the registry, so that an update to the same tag rolls if the image behind it changed. A registry that fails is a warning:
 * the image then stays at the digest it had if it is the same one, else it goes by its tag.
 */
export async function resolveImage(
  context: Pick<ApiContext, 'registry'>,
  spec: ServiceSpec,
  stored: ServiceSpec | undefined,
  request: ImageRequest,
  signal: AbortSignal,
): Promise<ResolvedSpec> {
  const container = spec.task?.container;
  if (container === undefined) return { spec, warnings: [] };
  const earlier = stored?.task?.container;
  const isSameImage = earlier?.image === container.image;
  if (isSameImage && isPinOf(container.image, container.resolvedImage)) return { spec, warnings: [] };
  const fresh = isSameImage ? spec : withoutPlatformsOf(spec, stored);
  if (request.noResolveImage || !needsResolving(container.image)) return { spec: withResolved(fresh, ''), warnings: [] };
  try {
    const auth = request.registryAuth === '' ? container.registryAuth : request.registryAuth;
    const resolved = await context.registry.resolve(container.image, auth, signal);
    const platforms = await context.registry.platforms(resolved, auth, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      return NO_PLATFORMS;
    });
    return { spec: withPlatforms(withResolved(fresh, resolved), platforms), warnings: [] };
  } catch (error) {
    if (signal.aborted) throw error;
    const kept = isSameImage ? earlier.resolvedImage : '';
    const effect = kept === '' ? 'nodes may run different versions' : 'it stays at the digest it had';
    return {
      spec: withResolved(fresh, kept),
      warnings: [`image ${container.image} could not be resolved to a digest; ${effect}: ${messageOf(error)}`],
    };
  }
}

function needsResolving(image: string): boolean {
  const parsed = parseImageReference(image);
  return image !== PROCESS_IMAGE && parsed.ok && parsed.reference.digest === undefined;
}

/** `resolved` is `image` with a digest: same repository, same tag. */
function isPinOf(image: string, resolved: string): boolean {
  const [one, other] = [parseImageReference(image), parseImageReference(resolved)];
  if (!one.ok || !other.ok) return false;
  const { reference } = other;
  return (
    reference.digest !== undefined &&
    reference.domain === one.reference.domain &&
    reference.repository === one.reference.repository &&
    reference.tag === one.reference.tag
  );
}

const NO_PLATFORMS: readonly Platform[] = [];

/** Those that a client found out by itself stay where the registry says nothing. */
function withPlatforms(spec: ServiceSpec, platforms: readonly Platform[]): ServiceSpec {
  if (spec.task === undefined || platforms.length === 0) return spec;
  return { ...spec, task: { ...spec.task, placement: { ...(spec.task.placement ?? Placement.create()), platforms } } };
}

/** What is known of another image says nothing of this one. */
function withoutPlatformsOf(spec: ServiceSpec, stored: ServiceSpec | undefined): ServiceSpec {
  const platforms = spec.task?.placement?.platforms ?? NO_PLATFORMS;
  const earlier = stored?.task?.placement?.platforms ?? NO_PLATFORMS;
  if (spec.task?.placement === undefined || platforms.length === 0 || !isDeepStrictEqual(platforms, earlier)) return spec;
  return { ...spec, task: { ...spec.task, placement: { ...spec.task.placement, platforms: [] } } };
}

function withResolved(spec: ServiceSpec, resolvedImage: string): ServiceSpec {
  if (spec.task?.container === undefined || spec.task.container.resolvedImage === resolvedImage) return spec;
  return { ...spec, task: { ...spec.task, container: { ...spec.task.container, resolvedImage } } };
}
