// Which platforms an image is for: from its list of manifests, or from the configuration of a lone one.
import type { Platform } from '../../../proto/index.ts';
import { isDigest } from './image-reference.ts';
import type { Manifest } from './manifest.ts';

const MAX_PLATFORMS = 100;

/** Empty: it does not say. What a list holds beside images (attestations) has the platform "unknown" and is left out. */
export async function platformsOf(manifest: Manifest): Promise<readonly Platform[]> {
  const { body } = manifest;
  if (!isRecord(body)) return [];
  if (Array.isArray(body['manifests']))
    return distinct(body['manifests'].map((entry: unknown) => platformIn(isRecord(entry) ? entry['platform'] : undefined)));
  const { config } = body;
  const digest = isRecord(config) ? config['digest'] : undefined;
  if (typeof digest !== 'string' || !isDigest(digest)) return [];
  return distinct([platformIn(await manifest.blob(digest))]);
}

function platformIn(value: unknown): Platform | undefined {
  if (!isRecord(value)) return undefined;
  const { os, architecture } = value;
  if (typeof os !== 'string' || typeof architecture !== 'string' || os === '' || os === 'unknown' || architecture === '') return undefined;
  return { os, arch: architecture };
}

/** Variants of one architecture are one. */
function distinct(platforms: readonly (Platform | undefined)[]): readonly Platform[] {
  const byText = new Map<string, Platform>();
  for (const platform of platforms) if (platform !== undefined) byText.set(`${platform.os}/${platform.arch}`, platform);
  return [...byText.values()].slice(0, MAX_PLATFORMS);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
