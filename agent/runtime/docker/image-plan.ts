// Which of the pulled images go: pure. What it upholds: nothing that a container of anybody uses, nothing that has a name which is not of our making.
import { type UnusedLimits } from '../runtime.ts';
import { type PulledImage, type PulledImages } from './image-ledger.ts';

/** An image as the engine lists it. */
export interface ListedImage {
  readonly id: string;
  /** Tags and digests. */
  readonly names: readonly string[];
  /** Layers that it shares with others are counted in full: the engine would take long to tell them apart. */
  readonly sizeBytes: number;
}

export interface ImagePlan {
  /** In this order. */
  readonly remove: readonly ListedImage[];
  /** Pulled, in nobody's use, and not removed. */
  readonly keptUnusedBytes: number;
  /** The ledger before anything is removed. */
  readonly ledger: PulledImages;
}

/**
 * `passedMs`: for each image that nothing used when it was looked at last, how long ago that was. One that is seen unused for the first time never
 * goes for its size: it may be about to be used.
 */
export function planImages(
  pulled: PulledImages,
  listed: readonly ListedImage[],
  usedIds: ReadonlySet<string>,
  passedMs: ReadonlyMap<string, number>,
  limits: UnusedLimits,
): ImagePlan {
  const ledger = new Map<string, PulledImage>();
  const unused: { readonly image: ListedImage; readonly idleMs: number }[] = [];
  for (const image of listed) {
    const ours = pulled.get(image.id);
    if (ours === undefined || !image.names.every((name) => ours.names.includes(name))) continue;
    const isUsed = usedIds.has(image.id);
    const idleMs = isUsed ? 0 : ours.idleMs + (passedMs.get(image.id) ?? 0);
    ledger.set(image.id, { ...ours, idleMs });
    if (!isUsed) unused.push({ image, idleMs });
  }
  unused.sort((a, b) => b.idleMs - a.idleMs || (a.image.id < b.image.id ? -1 : 1));
  let keptUnusedBytes = unused.reduce((sum, { image }) => sum + image.sizeBytes, 0);
  const remove: ListedImage[] = [];
  for (const { image, idleMs } of unused) {
    const isOld = idleMs >= limits.ageMs;
    const isTooMuch = keptUnusedBytes > limits.bytes && idleMs > 0;
    if (!isOld && !isTooMuch) continue;
    remove.push(image);
    keptUnusedBytes -= image.sizeBytes;
  }
  return { remove, keptUnusedBytes, ledger };
}

/**
 * The ledger after `reference` was pulled, where `names` are all that the image has now. The pull itself gives one tag, or one digest, or both: an
 * image with more than that was here before, and stays out.
 */
export function withPulled(pulled: PulledImages, id: string, reference: string, names: readonly string[]): PulledImages {
  const known = pulled.get(id)?.names ?? [];
  const added = names.filter((name) => !known.includes(name));
  const tags = added.filter((name) => !name.includes('@')).length;
  const isOurs = added.length - tags <= 1 && tags <= (reference.includes('@') ? 0 : 1);
  const next = new Map(pulled);
  if (isOurs) next.set(id, { names, idleMs: 0 });
  else next.delete(id);
  return next;
}
