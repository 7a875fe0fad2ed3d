// A watch over the engine's history. It keeps nothing but its position, so a slow reader costs nothing until it falls out of the history.
import type { Revision, WatchMessage } from '../store.ts';
import type { LocalServer } from './server.ts';

export async function* watchEngine(
  server: LocalServer,
  prefix: string,
  fromRevision: Revision,
  signal: AbortSignal,
): AsyncGenerator<WatchMessage> {
  const { history } = server.engine;
  let next = fromRevision;
  let wake: () => void = () => undefined;
  const onAbort = (): void => wake();
  const unsubscribe = server.subscribe(() => {
    wake();
  });
  signal.addEventListener('abort', onAbort);
  try {
    while (!signal.aborted) {
      if (next < history.first) {
        yield { type: 'compacted', compactedRevision: history.first - 1 };
        return;
      }
      const events = history.at(next);
      if (events === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const revision = next;
      next += 1;
      const seen =
        prefix === '' ? events : events.filter((event) => (event.type === 'put' ? event.item.key : event.key).startsWith(prefix));
      if (seen.length > 0) yield { type: 'revision', revision, events: seen };
      else if (next === history.next) yield { type: 'progress', revision };
    }
  } finally {
    unsubscribe();
    signal.removeEventListener('abort', onAbort);
  }
}
