// Whether this machine can run a suite. Where it cannot, the suite is skipped with a line that says why; in CI that is a failure.
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export type Requirement = 'docker' | 'etcd' | 'nftables' | 'conntrack' | 'namespaces';

interface SuiteContext {
  skip(): void;
}

/** For `before(function () { requirement(this, 'docker'); })`. Throws in CI where the requirement is not met. */
export function requirement(suite: SuiteContext, ...names: readonly Requirement[]): void {
  const missing = names.flatMap((name) => missingFor(name));
  if (missing.length === 0) return;
  const words = `needs ${missing.join(', ')}`;
  if (process.env['CI'] === 'true') throw new Error(`${words}; in CI nothing is skipped`);
  process.stderr.write(`skipped: ${words}\n`);
  suite.skip();
}

function missingFor(name: Requirement): string[] {
  const linux = process.platform === 'linux' ? [] : ['Linux'];
  const root = process.getuid?.() === 0 ? [] : ['root'];
  switch (name) {
    case 'etcd':
      return programs('etcd');
    case 'nftables':
      return [...linux, ...root, ...programs('nft', 'nsenter')];
    case 'conntrack':
      return programs('conntrack');
    case 'namespaces':
      return [...linux, ...root, ...programs('ip', 'nsenter')];
    case 'docker':
      return [...linux, ...root, ...programs('dockerd', 'docker', 'containerd', 'ip', 'nsenter', 'iptables', 'busybox')];
  }
}

function programs(...names: readonly string[]): string[] {
  return names.filter((name) => !isOnPath(name));
}

export function isOnPath(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.some((folder) => {
    const path = join(folder, program);
    if (!existsSync(path)) return false;
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
