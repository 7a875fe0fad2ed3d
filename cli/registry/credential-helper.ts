// Asks a `docker-credential-NAME` program for a login, by Docker's protocol: the server on stdin, JSON on stdout.
import { spawn } from 'node:child_process';
import { type Clock, withDeadline } from '../../lib/clock.ts';
import { messageOf, ShoalError } from '../../lib/errors.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** A token in the place of username and password; empty: none. */
  readonly identityToken: string;
}

/** It may ask a keychain, which may ask its user. */
const HELPER_DEADLINE_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/** Undefined where the helper knows no login for `server`. Rejects where it cannot be run or its answer not understood. */
export async function askCredentialHelper(
  helper: string,
  server: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  const program = `docker-credential-${helper}`;
  const { code, stdout } = await withDeadline(clock, HELPER_DEADLINE_MS, program, (inner) => runHelper(program, server, inner), signal);
  if (code !== 0) {
    if (/credentials not found/i.test(stdout)) return undefined;
    throw new ShoalError('failed_precondition', `${program} gives no login for ${server}: ${stdout.trim() || `exit code ${String(code)}`}`);
  }
  return parseAnswer(program, stdout);
}

function runHelper(
  program: string,
  server: string,
  signal: AbortSignal,
): Promise<{ readonly code: number | null; readonly stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], signal });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (stdout.length < MAX_ANSWER_BYTES) stdout += chunk;
    });
    child.once('error', (error) => {
      reject(
        new ShoalError('failed_precondition', `cannot run ${program}, which ~/.docker/config.json names: ${messageOf(error)}`, {
          cause: error,
        }),
      );
    });
    child.once('close', (code) => {
      resolve({ code, stdout });
    });
    // A helper that ends without reading is judged by its exit code.
    child.stdin.on('error', () => undefined).end(server);
  });
}

function parseAnswer(program: string, stdout: string): Credentials {
  let answer: { readonly Username?: unknown; readonly Secret?: unknown };
  try {
    answer = JSON.parse(stdout) as typeof answer;
  } catch (error) {
    throw new ShoalError('failed_precondition', `the answer of ${program} is not JSON`, { cause: error });
  }
  const username = typeof answer.Username === 'string' ? answer.Username : '';
  const secret = typeof answer.Secret === 'string' ? answer.Secret : '';
  // Docker's rule: this name means that the secret is a token.
  return username === '<token>' ? { username: '', password: '', identityToken: secret } : { username, password: secret, identityToken: '' };
}
