// A manager's control API that answers what a test tells it to, over real gRPC on a free port of 127.0.0.1.
import { afterEach } from 'mocha';
import { ServerCredentials } from '@grpc/grpc-js';
import { ShoalError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import { asError, type CallContext, createServer, type HandlersOf } from '../../lib/rpc/index.ts';
import { ControlService } from '../../proto/index.ts';

type ControlHandlers = HandlersOf<typeof ControlService>;

export interface FakeControl {
  /** "127.0.0.1:port" */
  readonly address: string;
  /** Names of the calls so far, in order. */
  readonly calls: readonly string[];
  /** What each call carried as `shoal-revision`; empty: nothing. */
  readonly revisions: readonly string[];
  stop(): Promise<void>;
}

/** Calls without a handler are answered with `unimplemented`. */
export async function startFakeControl(handlers: Partial<ControlHandlers>): Promise<FakeControl> {
  const calls: string[] = [];
  const revisions: string[] = [];
  const note = (name: string, context: Pick<CallContext, 'metadata'>): void => {
    calls.push(name);
    revisions.push(String(context.metadata.get('shoal-revision')[0] ?? ''));
  };
  const missing = (name: string): ShoalError => new ShoalError('unimplemented', `the fake has no ${name}`);
  const all = Object.entries(ControlService).map(([name, method]) => {
    const handler = handlers[name as keyof ControlHandlers] as ((...args: unknown[]) => unknown) | undefined;
    if (method.requestStream) {
      return [
        name,
        (call: CallContext & { destroy(error: Error): void }) => {
          note(name, call);
          if (handler === undefined) call.destroy(asError(missing(name), name, silentLogger));
          else handler(call);
        },
      ];
    }
    return [
      name,
      (...args: unknown[]): unknown => {
        note(name, args.at(-1) as CallContext);
        return handler === undefined ? Promise.reject(missing(name)) : handler(...args);
      },
    ];
  });
  const server = createServer(silentLogger);
  server.add(ControlService, Object.fromEntries(all) as ControlHandlers);
  const port = await server.listen('127.0.0.1:0', ServerCredentials.createInsecure());
  return { address: `127.0.0.1:${port}`, calls, revisions, stop: () => server.stop(0) };
}

export interface FakeControls {
  /** The one that was started last in this test. */
  readonly current: FakeControl | undefined;
  /** Its address. One that runs is ended. */
  start(handlers: Parameters<typeof startFakeControl>[0]): Promise<string>;
}

/** For the suite that asks for it: one at a time, ended after each of its tests. */
export function fakeControls(): FakeControls {
  let current: FakeControl | undefined;
  const stop = async (): Promise<void> => {
    await current?.stop();
    current = undefined;
  };
  afterEach(stop);
  return {
    get current() {
      return current;
    },
    start: async (handlers) => {
      await stop();
      current = await startFakeControl(handlers);
      return current.address;
    },
  };
}
