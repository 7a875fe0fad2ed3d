// Waiting until something may have changed in a folder or several: the system's notification, and a slow look for when that is lost or not to be had.
import { type FSWatcher, watch } from 'node:fs';
import { type Clock } from '../../../lib/clock.ts';

export interface Changes {
  /** Resolves at the next change since the last call returned, after `withinMs`, or when the signal aborts. */
  next(withinMs: number): Promise<void>;
  close(): void;
}

export function watchFolder(paths: readonly string[], clock: Clock, signal: AbortSignal): Changes {
  let changed = false;
  let wake: (() => void) | undefined;
  const notify = (): void => {
    changed = true;
    wake?.();
  };
  const watchers = paths.flatMap((path): FSWatcher[] => {
    try {
      const watcher = watch(path, { persistent: false }, notify);
      // Too many watches, or the folder is gone: the slow look has to do.
      watcher.on('error', () => watcher.close());
      return [watcher];
    } catch {
      return [];
    }
  });
  return {
    async next(withinMs) {
      if (!changed && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = clock.after(withinMs, notify);
          signal.addEventListener('abort', notify, { once: true });
          wake = () => {
            timer.cancel();
            signal.removeEventListener('abort', notify);
            resolve();
          };
        });
      }
      wake = undefined;
      changed = false;
    },
    close: () => {
      for (const watcher of watchers) watcher.close();
    },
  };
}
