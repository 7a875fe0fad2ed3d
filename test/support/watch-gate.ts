// Holds a watch back: what it brings waits until the gate is opened again, in order and complete.
import type { WatchMessage } from '../../manager/store/store.ts';

export interface WatchGate {
  readonly hold: () => void;
  readonly release: () => void;
  readonly through: (watch: AsyncIterable<WatchMessage>) => AsyncIterable<WatchMessage>;
}

export function watchGate(): WatchGate {
  let open = Promise.resolve();
  let release = (): void => undefined;
  return {
    hold() {
      release();
      open = new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => {
      release();
    },
    async *through(watch) {
      for await (const message of watch) {
        await open;
        yield message;
      }
    },
  };
}
