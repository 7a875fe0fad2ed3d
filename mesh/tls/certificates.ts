// The certificates of this node: NAME.crt and NAME.key in one folder, chosen by the name that a client asks for. The folder is looked at every few seconds;
// a changed pair serves the handshakes from then on, and a pair that cannot be used (half written, not matching) leaves the one before it in use.
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, type SecureContext, type TlsOptions } from 'node:tls';
import { type Clock, type Timer } from '../../lib/clock.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { type Logger } from '../../lib/log.ts';

export interface CertificatesOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly dir: string;
}

/** PEM. */
export interface CertificateFiles {
  readonly cert: Buffer;
  readonly key: Buffer;
}

interface Pair {
  /** Of its files: changes with them. */
  readonly stamp: string;
  readonly names: readonly string[];
  readonly files: CertificateFiles;
  readonly context: SecureContext;
}

const LOOK_INTERVAL_MS = 3000;
/** Serves clients that ask for no name, or for one that no other certificate has. */
const DEFAULT_NAME = 'default';

export class Certificates {
  readonly #options: CertificatesOptions;
  readonly #watchers = new Set<() => void>();
  #pairs = new Map<string, Pair>();
  /** By lower-cased name, "*.example.com" among them. */
  #byName = new Map<string, Pair>();
  /** Why a pair of files is not in use, by its name. */
  #faults = new Map<string, string>();
  #timer: Timer | undefined;

  constructor(options: CertificatesOptions) {
    this.#options = options;
  }

  /** `onChange`: `problem` may say something else. Returns how to stop; the folder is looked at only while somebody watches. */
  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    this.#timer ??= this.#lookLater();
    return () => {
      this.#watchers.delete(onChange);
      if (this.#watchers.size > 0) return;
      this.#timer?.cancel();
      this.#timer = undefined;
    };
  }

  /** Reads what has changed. Never throws: what is wrong is a problem of the ports that need it. */
  load(): void {
    const { dir, log } = this.#options;
    const pairs = new Map<string, Pair>();
    const faults = new Map<string, string>();
    for (const name of this.#names(faults)) {
      const old = this.#pairs.get(name);
      try {
        const pair = readPair(dir, name, old);
        pairs.set(name, pair);
        if (pair !== old) log.info('certificate loaded', { name, hosts: pair.names });
      } catch (error) {
        const fault = `${join(dir, `${name}.crt`)} and .key cannot be used: ${messageOf(error)}`;
        faults.set(name, fault);
        if (this.#faults.get(name) !== fault) log.warn(fault, { stillServed: old !== undefined });
        if (old !== undefined) pairs.set(name, old);
      }
    }
    const same = pairs.size === this.#pairs.size && [...pairs].every(([name, pair]) => this.#pairs.get(name) === pair);
    const sameFaults = faults.size === this.#faults.size && [...faults].every(([name, fault]) => this.#faults.get(name) === fault);
    this.#faults = faults;
    if (!same) {
      this.#pairs = pairs;
      this.#byName = new Map([...pairs.values()].flatMap((pair) => pair.names.map((host) => [host, pair] as const)));
    }
    if (same && sameFaults) return;
    for (const onChange of this.#watchers) onChange();
  }

  /** Why clients that ask for this host ("*.example.com", "": any) get no certificate of it; undefined: they do. */
  problem(host: string): string | undefined {
    const found = host === '' ? this.#pairs.size > 0 : this.#find(host) !== undefined;
    if (found) return undefined;
    const { dir } = this.#options;
    const why = [...this.#faults.values()].join('; ');
    const whose = host === '' ? 'no TLS certificate' : `no TLS certificate for ${host}`;
    return `${whose} on this node; put NAME.crt and NAME.key into ${dir}${why === '' ? '' : ` (${why})`}`;
  }

  serverOptions(): TlsOptions {
    return {
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.2',
      SNICallback: (name, done) => {
        const context = (this.#find(name.toLowerCase()) ?? this.#fallback())?.context;
        if (context === undefined) done(new Error(`no certificate for ${name}`));
        else done(null, context);
      },
      ...this.unnamed,
    };
  }

  /** For clients that ask for no name; a server must be given it anew when it changes. */
  get unnamed(): CertificateFiles | undefined {
    return this.#fallback()?.files;
  }

  /** Exact, then the wildcard of its own level: a certificate's wildcard stands for one label. */
  #find(host: string): Pair | undefined {
    const dot = host.indexOf('.');
    return this.#byName.get(host) ?? (dot < 0 ? undefined : this.#byName.get(`*${host.slice(dot)}`));
  }

  #fallback(): Pair | undefined {
    return this.#pairs.get(DEFAULT_NAME) ?? (this.#pairs.size === 1 ? [...this.#pairs.values()][0] : undefined);
  }

  #names(faults: Map<string, string>): readonly string[] {
    try {
      return namesIn(this.#options.dir);
    } catch (error) {
      faults.set('', messageOf(error));
      return [...this.#pairs.keys()];
    }
  }

  #lookLater(): Timer {
    return this.#options.clock.after(
      LOOK_INTERVAL_MS,
      () => {
        this.load();
        if (this.#timer !== undefined) this.#timer = this.#lookLater();
      },
      true,
    );
  }
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir)
      .filter((file) => file.endsWith('.crt'))
      .map((file) => file.slice(0, -'.crt'.length))
      .sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function readPair(dir: string, name: string, old: Pair | undefined): Pair {
  const files = [join(dir, `${name}.crt`), join(dir, `${name}.key`)] as const;
  const stamp = files
    .map((file) => statSync(file))
    .map(({ mtimeMs, size, ino }) => `${String(mtimeMs)}/${String(size)}/${String(ino)}`)
    .join();
  if (old?.stamp === stamp) return old;
  const [cert, key] = files.map((file) => readFileSync(file));
  if (cert === undefined || key === undefined) throw new Error('files missing');
  const context = createSecureContext({ cert, key });
  return { stamp, names: namesOf(new X509Certificate(cert)), files: { cert, key }, context };
}

/** The DNS names that it is for; one without them is for its common name. */
function namesOf(certificate: X509Certificate): readonly string[] {
  const alternatives = (certificate.subjectAltName ?? '')
    .split(', ')
    .filter((name) => name.startsWith('DNS:'))
    .map((name) => name.slice('DNS:'.length).toLowerCase());
  if (alternatives.length > 0) return alternatives;
  const common = /^CN=(.+)$/m.exec(certificate.subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}
