// Removes pulled images that nothing uses: asks the engine what is there, has a plan made, and carries it out name by name and without force, so that
// the engine itself refuses what has come into use meanwhile.
import { type ImageInspectInfo } from 'dockerode';
import { type Clock } from '../../../lib/clock.ts';
import { messageOf, ShoalError } from '../../../lib/errors.ts';
import { type Logger } from '../../../lib/log.ts';
import { type CleanUp, type UnusedLimits } from '../runtime.ts';
import { CHANGE_DEADLINE_MS, type EngineClient, QUERY_DEADLINE_MS } from './client.ts';
import { type ImageLedger } from './image-ledger.ts';
import { type ListedImage, planImages } from './image-plan.ts';

export type CleanImages = (limits: UnusedLimits, signal: AbortSignal) => Promise<CleanUp>;

export function imageCleaner(client: EngineClient, ledger: ImageLedger, clock: Clock, log: Logger): CleanImages {
  /** When each was seen unused last, on the monotonic clock. */
  let seenUnusedMs: ReadonlyMap<string, number> = new Map();

  const listImages = async (signal: AbortSignal): Promise<readonly ListedImage[]> => {
    const images = await client.call(
      'cannot list images',
      QUERY_DEADLINE_MS,
      (abortSignal) => client.docker.listImages({ abortSignal }),
      signal,
    );
    return images.map((image) => ({ id: image.Id, names: namesOf(image), sizeBytes: image.Size }));
  };
  /** Of all containers on the engine, whoever made them, running or not. */
  const listUsed = async (signal: AbortSignal): Promise<ReadonlySet<string>> => {
    const containers = await client.call(
      'cannot list containers',
      QUERY_DEADLINE_MS,
      (abortSignal) => client.docker.listContainers({ all: true, abortSignal }),
      signal,
    );
    return new Set(containers.map((container) => container.ImageID));
  };
  /** Whether it is gone. */
  const remove = async ({ id, names }: ListedImage, signal: AbortSignal): Promise<boolean> => {
    try {
      // A name may have moved to another image, or another name been given to this one, since the list.
      const present = await client.call(
        `cannot look at image ${id}`,
        QUERY_DEADLINE_MS,
        (abortSignal) => client.dial({ method: 'GET', path: `/images/${id}/json`, query: {}, abortSignal }) as Promise<ImageInspectInfo>,
        signal,
      );
      if (namesOf(present).join() !== names.join()) return false;
      for (const name of names) {
        await client
          .call(
            `cannot remove image ${name}`,
            CHANGE_DEADLINE_MS,
            (abortSignal) => client.docker.getImage(name).remove({ force: false, abortSignal }),
            signal,
          )
          .catch(unlessGone);
      }
      return true;
    } catch (error) {
      const known = ShoalError.from(error);
      if (known.retryable || signal.aborted) throw error;
      log.debug('an image stays', { why: messageOf(error) });
      return false;
    }
  };
  return async (limits, signal) => {
    if (ledger.images().size === 0) return { removed: [], freedBytes: 0, unusedBytes: 0 };
    const before = ledger.images();
    const listed = await listImages(signal);
    const usedIds = await listUsed(signal);
    const nowMs = clock.nowMs();
    const passedMs = new Map([...seenUnusedMs].map(([id, atMs]) => [id, nowMs - atMs]));
    const plan = planImages(before, listed, usedIds, passedMs, limits);
    seenUnusedMs = new Map([...plan.ledger.keys()].filter((id) => !usedIds.has(id)).map((id) => [id, nowMs]));
    // What was pulled since the engine listed stands as it is.
    const pulledSince = [...ledger.images()].filter(([id, image]) => before.get(id) !== image);
    const known = new Map([...plan.ledger, ...pulledSince]);
    await ledger.replace(known);
    const removed: ListedImage[] = [];
    let stayedBytes = 0;
    for (const image of plan.remove) {
      if (await remove(image, signal)) removed.push(image);
      else stayedBytes += image.sizeBytes;
    }
    if (removed.length > 0) {
      const gone = new Set(removed.map(({ id }) => id));
      await ledger.replace(new Map([...ledger.images()].filter(([id, image]) => !gone.has(id) || known.get(id) !== image)));
    }
    return {
      removed: removed.map(({ id, names }) => names[0] ?? id),
      freedBytes: removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      unusedBytes: plan.keptUnusedBytes + stayedBytes,
    };
  };
}

/** Tags first: with the last tag of a repository its digests go too. Docker writes "<none>" where there is none, Podman nothing. */
export function namesOf(image: {
  readonly RepoTags?: readonly string[] | null | undefined;
  readonly RepoDigests?: readonly string[] | null | undefined;
}): readonly string[] {
  return [...(image.RepoTags ?? []), ...(image.RepoDigests ?? [])].filter((name) => !name.startsWith('<none>'));
}

function unlessGone(error: unknown): void {
  if (!(error instanceof ShoalError) || error.code !== 'not_found') throw error;
}
