// When an image is resolved to its digest: once for each create, and for each update that concerns the image.
import { messageOf } from '../../../lib/errors.ts';
import type { ServiceSpec } from '../../../proto/index.ts';
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
  if (request.noResolveImage || !needsResolving(container.image)) return { spec: withResolved(spec, ''), warnings: [] };
  try {
    const auth = request.registryAuth === '' ? container.registryAuth : request.registryAuth;
    return { spec: withResolved(spec, await context.registry.resolve(container.image, auth, signal)), warnings: [] };
  } catch (error) {
    if (signal.aborted) throw error;
    const kept = isSameImage ? earlier.resolvedImage : '';
    const effect = kept === '' ? 'nodes may run different versions' : 'it stays at the digest it had';
    return {
      spec: withResolved(spec, kept),
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

function withResolved(spec: ServiceSpec, resolvedImage: string): ServiceSpec {
  if (spec.task?.container === undefined || spec.task.container.resolvedImage === resolvedImage) return spec;
  return { ...spec, task: { ...spec.task, container: { ...spec.task.container, resolvedImage } } };
}
