// Which images on this host Shoal has pulled, on disk: only these may ever be removed. An image that was there before, or has got a name from
// somebody else since, is theirs, and not or no longer in here.
import { type Disk, groupWriter, systemDisk } from '../../../lib/durable-file.ts';
import { messageOf } from '../../../lib/errors.ts';
import { type Logger } from '../../../lib/log.ts';

export interface PulledImage {
  /** All names (tags and digests) that the image has by our pulls. */
  readonly names: readonly string[];
  /** For how long nothing has used it, as far as an agent ran to see it. */
  readonly idleMs: number;
}

/** Image id to what is known of it. */
export type PulledImages = ReadonlyMap<string, PulledImage>;

export interface ImageLedger {
  images(): PulledImages;
  /** Resolves when it is on disk; one that cannot be written is logged, and the images of it are never removed after a restart. */
  replace(images: PulledImages): Promise<void>;
}

export function openImageLedger(path: string, log: Logger, disk: Disk = systemDisk): ImageLedger {
  let images = load(path, log, disk);
  const writer = groupWriter(path, () => JSON.stringify(Object.fromEntries(images)), disk);
  return {
    images: () => images,
    async replace(next) {
      images = next;
      try {
        await writer.flush();
      } catch (error) {
        log.warn('cannot record which images were pulled', { path, why: messageOf(error) });
      }
    },
  };
}

function load(path: string, log: Logger, disk: Disk): PulledImages {
  try {
    const bytes = disk.read(path);
    const parsed: unknown = bytes === undefined ? {} : JSON.parse(bytes.toString());
    return new Map(Object.entries(parsed ?? {}).filter((entry): entry is [string, PulledImage] => isPulledImage(entry[1])));
  } catch (error) {
    log.warn('cannot read which images were pulled: those are kept for ever', { path, why: messageOf(error) });
    return new Map();
  }
}

function isPulledImage(value: unknown): value is PulledImage {
  const { names, idleMs } = (value ?? {}) as Partial<PulledImage>;
  return Array.isArray(names) && names.every((name) => typeof name === 'string') && typeof idleMs === 'number' && idleMs >= 0;
}
