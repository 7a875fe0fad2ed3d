// The demo's container image, made from this machine's own Node.js, so that no registry is needed.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ShoalError } from '../../lib/errors.ts';

const REPOSITORY = 'shoal-demo';
const run = promisify(execFile);
const IMPORT_DEADLINE_MS = 60_000;
const NODE_IN_IMAGE = '/usr/local/bin/node';
const SERVER_IN_IMAGE = '/demo-server.mjs';

export const DEMO_COMMAND = [NODE_IN_IMAGE, SERVER_IN_IMAGE];
export const DEMO_SERVER = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './demo-server.ts' : './demo-server.js', import.meta.url),
);

/** Resolves to the image's name once the engine has it. Linux only: elsewhere the engine runs in a virtual machine of another kind. */
export async function ensureDemoImage(socketPath: string): Promise<string> {
  const version = createHash('sha256').update(process.version).update(readFileSync(DEMO_SERVER)).digest('hex').slice(0, 12);
  const image = `${REPOSITORY}:${version}`;
  if ((await engineCall(socketPath, 'GET', `/images/${image}/json`)).status === 200) return image;
  const staging = mkdtempSync(join(tmpdir(), 'shoal-demo-'));
  try {
    await stageFiles(staging);
    const tar = spawn('tar', ['-c', '-C', staging, '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const { status } = await engineCall(socketPath, 'POST', `/images/create?fromSrc=-&repo=${REPOSITORY}&tag=${version}`, tar.stdout);
    if (status !== 200)
      throw new ShoalError('unavailable', `the engine did not take the demo image (status ${status}); try --runtime process`);
    return image;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** Of this version and of earlier ones. Resolves to those that are still there, since something uses them. Rejects with `unavailable`. */
export async function removeDemoImages(socketPath: string): Promise<readonly string[]> {
  const filters = encodeURIComponent(JSON.stringify({ reference: [REPOSITORY] }));
  const { status, body } = await engineCall(socketPath, 'GET', `/images/json?filters=${filters}`);
  if (status !== 200) throw new ShoalError('unavailable', `the container engine did not list its images (status ${status})`);
  const images = JSON.parse(body) as readonly { readonly RepoTags?: readonly string[] | null }[];
  // Podman puts "localhost/" before a name without a registry.
  const tags = images
    .flatMap(({ RepoTags }) => RepoTags ?? [])
    .filter((tag) => tag.replace(/^localhost\//, '').startsWith(`${REPOSITORY}:`));
  const left: string[] = [];
  for (const tag of tags) {
    const removed = await engineCall(socketPath, 'DELETE', `/images/${tag}`);
    if (removed.status !== 200 && removed.status !== 404) left.push(tag);
  }
  return left;
}

/** Node.js, the shared libraries that it needs, and the server, each at its place below `staging`. */
async function stageFiles(staging: string): Promise<void> {
  place(staging, process.execPath, NODE_IN_IMAGE);
  place(staging, DEMO_SERVER, SERVER_IN_IMAGE);
  const { stdout } = await run('ldd', [process.execPath]).catch((error: unknown) => {
    throw new ShoalError('failed_precondition', 'cannot make the demo image here (no ldd); try --runtime process', { cause: error });
  });
  for (const [, library] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    if (library !== undefined) place(staging, library, library);
  }
}

function place(staging: string, from: string, to: string): void {
  const target = join(staging, to);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(from, target);
}

interface EngineAnswer {
  readonly status: number;
  readonly body: string;
}

function engineCall(socketPath: string, method: string, path: string, body?: NodeJS.ReadableStream): Promise<EngineAnswer> {
  return new Promise((resolve, reject) => {
    const call = request(
      { socketPath, method, path, timeout: IMPORT_DEADLINE_MS, headers: { 'content-type': 'application/x-tar' } },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      },
    );
    call.on('timeout', () => call.destroy(new Error('no answer within a minute')));
    call.on('error', (error) =>
      reject(new ShoalError('unavailable', `the container engine at ${socketPath}: ${error.message}`, { cause: error })),
    );
    if (body === undefined) call.end();
    else body.pipe(call);
  });
}
