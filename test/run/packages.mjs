// What the tests need of the system: on Debian, as root, installed where missing; elsewhere the suites that need it are skipped.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const PACKAGES = [
  'docker.io',
  'etcd-server',
  'etcd-client',
  'nftables',
  'iproute2',
  'iptables',
  'conntrack',
  'openssl',
  'busybox-static',
  'docker-registry',
  'util-linux',
];

/** Says on standard error what it installs, and what it cannot. */
export function installPackages() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    process.stderr.write(
      'not root on Debian: nothing is installed, and suites that need etcd, Docker or network namespaces are skipped where those are missing\n',
    );
    return;
  }
  const missing = PACKAGES.filter((name) => spawnSync('dpkg', ['-s', name], { stdio: 'ignore' }).status !== 0);
  if (missing.length === 0) return;
  process.stderr.write(`installing ${missing.join(' ')} ...\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) =>
    spawnSync('apt-get', ['-qq', '-o', 'Dpkg::Use-Pty=0', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env }).status;
  if (apt('update') !== 0 || apt('install', '-y', '--no-install-recommends', ...missing) !== 0) {
    process.stderr.write('apt-get could not install them; suites that need them will say so\n');
  }
}
