// A canary and a pause in one line each.
import { formatDurationMs } from '../../lib/units.ts';
import type { CanaryView, ServicePause } from '../../proto/index.ts';
import { withoutDigest } from './text.ts';

/** "10%" */
export function shareText(permille: number): string {
  return `${String(permille / 10)}%`;
}

/** "canary 10%: 1 of 1 task of spec 7 (web:2) up" */
export function canaryText({ permille, tasks, up, specNumber, image, paused }: CanaryView): string {
  const count = `${String(up)} of ${String(tasks)} ${tasks === 1 ? 'task' : 'tasks'} of spec ${String(specNumber)} (${withoutDigest(image)}) up`;
  return paused === '' ? `canary ${shareText(permille)}: ${count}` : `${paused}; it gets nothing new`;
}

/** What a user can do about it. */
export function canaryWays({ promoteAfterMs, paused, permille }: CanaryView, name: string): string {
  const update = 'shoal service update';
  const ways = `\`${update} --promote ${name}\` or \`${update} --abort ${name}\``;
  if (paused !== '') return `\`${update} --canary ${shareText(permille)} ${name}\` tries on; ${ways}`;
  return promoteAfterMs === 0 ? ways : `promoted by itself when all have been up for ${formatDurationMs(promoteAfterMs)}; ${ways}`;
}

export function pauseText({ maxMs }: ServicePause): string {
  return `new clients wait, ${formatDurationMs(maxMs)} at most`;
}
