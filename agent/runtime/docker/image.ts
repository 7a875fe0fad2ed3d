// Images: whether one is there, and pulling it where it is not. One pull per image at a time, given up when nothing moves for a minute.
import { type Readable } from 'node:stream';
import { type ImageInspectInfo } from 'dockerode';
import { type Clock, type Timer } from '../../../lib/clock.ts';
import { messageOf, ShoalError } from '../../../lib/errors.ts';
import { type Logger } from '../../../lib/log.ts';
import { createSingleFlight } from '../../../lib/single-flight.ts';
import { type ContainerSpec } from '../../../proto/index.ts';
import { type EngineClient, engineError, jsonLines, QUERY_DEADLINE_MS } from './client.ts';
import { imageReference } from './container-options.ts';
import { namesOf } from './image-cleaner.ts';
import { type ImageLedger } from './image-ledger.ts';
import { withPulled } from './image-plan.ts';

/** A registry that sends nothing for so long is taken for dead; Docker's own retries are counted as nothing. */
const PULL_STALL_MS = 60_000;

export interface Images {
  /**
   * Makes sure that the image of `container` stands on this host, pulling it where it does not; answers the reference to create with.
   * `not_found`: the registry has no such image or denies it; `failed_precondition`: it cannot be pulled, with the registry's words.
   */
  ensure(container: ContainerSpec, signal: AbortSignal): Promise<string>;
}

/** `ledger`: where pulls are noted. */
export function createImages(client: EngineClient, clock: Clock, log: Logger, ledger?: ImageLedger): Images {
  const pullOnce = createSingleFlight<undefined>();
  const find = async (reference: string, signal: AbortSignal): Promise<ImageInspectInfo | undefined> => {
    try {
      return await client.call(
        `cannot look for image ${reference}`,
        QUERY_DEADLINE_MS,
        (abortSignal) =>
          client.dial({ method: 'GET', path: `/images/${reference}/json`, query: {}, abortSignal }) as Promise<ImageInspectInfo>,
        signal,
      );
    } catch (error) {
      if (error instanceof ShoalError && error.code === 'not_found') return undefined;
      throw error;
    }
  };
  const note = async (reference: string, signal: AbortSignal): Promise<void> => {
    if (ledger === undefined) return;
    try {
      const image = await find(reference, signal);
      if (image !== undefined) await ledger.replace(withPulled(ledger.images(), image.Id, reference, namesOf(image)));
    } catch (error) {
      log.debug('a pulled image is not noted', { image: reference, why: messageOf(error) });
    }
  };
  const pullAndNote = async (reference: string, auth: string, signal: AbortSignal): Promise<undefined> => {
    await pull(client, clock, reference, auth, signal);
    await note(reference, signal);
  };
  return {
    async ensure(container, signal) {
      const reference = imageReference(container);
      if ((await find(reference, signal)) !== undefined) return reference;
      try {
        const auth = container.registryAuth;
        await pullOnce(`${reference}\n${auth}`, (pullSignal) => pullAndNote(reference, auth, pullSignal), signal);
        return reference;
      } catch (error) {
        if (signal.aborted || reference === container.image) throw error;
        return await builtHere(container, await find(container.image, signal), error, log);
      }
    },
  };
}

/** An image that was built or imported on this host has no digest to compare: where its tag fits and no registry can say more, it is used. */
function builtHere(container: ContainerSpec, local: ImageInspectInfo | undefined, error: unknown, log: Logger): Promise<string> {
  if (local === undefined) return Promise.reject(ShoalError.from(error));
  const digests = (local.RepoDigests as string[] | null) ?? [];
  if (digests.length > 0) {
    const why = `the local ${container.image} is another one (${digests.join(', ')})`;
    const { code, message } = ShoalError.from(error);
    return Promise.reject(new ShoalError(code, `${message}; ${why}`, { cause: error }));
  }
  log.warn('image cannot be pulled: the one built on this host is used', { image: container.image, why: messageOf(error) });
  return Promise.resolve(container.image);
}

/** The repository and the tag or digest that the pull call wants apart. A tag beside a digest is dropped: the digest decides. */
export function splitReference(reference: string): { readonly repository: string; readonly tag: string } {
  const at = reference.indexOf('@');
  const name = at < 0 ? reference : reference.slice(0, at);
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  const repository = colon < 0 ? name : name.slice(0, colon);
  if (at >= 0) return { repository, tag: reference.slice(at + 1) };
  return { repository, tag: colon < 0 ? 'latest' : name.slice(colon + 1) };
}

async function pull(client: EngineClient, clock: Clock, reference: string, auth: string, signal: AbortSignal): Promise<undefined> {
  const what = `cannot pull image ${reference}`;
  const { repository, tag } = splitReference(reference);
  const stall = stallSignal(clock, signal);
  try {
    const stream = (await client.dial({
      method: 'POST',
      path: '/images/create',
      query: { fromImage: repository, tag },
      ...(auth === '' ? {} : { registryAuth: auth }),
      stream: true,
      abortSignal: stall.signal,
    })) as Readable;
    for await (const line of jsonLines(stream)) {
      const failure = pullFailure(line);
      if (failure !== undefined) throw refusal(what, failure);
      if (isProgress(line)) stall.moved();
    }
    return undefined;
  } catch (error) {
    if (stall.stalled())
      throw new ShoalError('failed_precondition', `${what}: nothing came from the registry for ${PULL_STALL_MS / 1000} s`);
    const failure = engineError(error, what, client.socketPath);
    throw failure.code === 'failed_precondition' && error !== failure ? refusal(what, failure.message.slice(what.length + 2)) : failure;
  } finally {
    stall.end();
  }
}

const UNKNOWN_IMAGE = /manifest unknown|not found|does not exist|pull access denied|repository .* unknown|denied:/i;

function refusal(what: string, words: string): ShoalError {
  return new ShoalError(UNKNOWN_IMAGE.test(words) ? 'not_found' : 'failed_precondition', `${what}: ${words}`);
}

interface PullLine {
  readonly status?: unknown;
  readonly error?: unknown;
  readonly errorDetail?: { readonly message?: unknown };
}

function pullFailure(line: unknown): string | undefined {
  const { error, errorDetail } = line as PullLine;
  if (typeof errorDetail?.message === 'string') return errorDetail.message;
  return typeof error === 'string' ? error : undefined;
}

function isProgress(line: unknown): boolean {
  const { status } = line as PullLine;
  return typeof status !== 'string' || !/^(Retrying|Waiting)/.test(status);
}

interface StallSignal {
  readonly signal: AbortSignal;
  moved(): void;
  stalled(): boolean;
  end(): void;
}

function stallSignal(clock: Clock, signal: AbortSignal): StallSignal {
  const controller = new AbortController();
  const forward = (): void => controller.abort();
  signal.addEventListener('abort', forward, { once: true });
  if (signal.aborted) forward();
  let stalled = false;
  let timer: Timer | undefined;
  const arm = (): void => {
    timer?.cancel();
    timer = clock.after(PULL_STALL_MS, () => {
      stalled = true;
      controller.abort();
    });
  };
  arm();
  return {
    signal: controller.signal,
    moved: arm,
    stalled: () => stalled,
    end: () => {
      timer?.cancel();
      signal.removeEventListener('abort', forward);
    },
  };
}
