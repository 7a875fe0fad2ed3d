// What `npm start`, `npm test` and `npm run build` call: needs nothing but Node and npm. Installs the npm dependencies,
// generates proto/gen, builds dist/, and goes on with what was asked for. Each step is skipped while its inputs are unchanged.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = ['proto', 'lib', 'manager', 'agent', 'mesh', 'cli'];
const MIN_NODE = [20, 19];

function main() {
  const [task, ...args] = process.argv.slice(2);
  checkNode();
  installDependencies();
  generateProtos();
  if (task === 'generate') return;
  build();
  linkExecutable();
  if (task === 'start') run(['dist/cli/main.js', 'dev', 'up', '--demo', ...args]);
  if (task === 'test') run(['test/run.mjs', ...args]);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return;
  fail(`Shoal needs Node.js ${MIN_NODE.join('.')} or newer; this is ${process.versions.node}. Install a newer one and run this again.`);
}

function installDependencies() {
  const stamp = join(root, 'node_modules', '.shoal-installed');
  const wanted = hashOf([join(root, 'package-lock.json')], (file) => readFileSync(file));
  if (readIfThere(stamp) === wanted) return;
  step('installing npm dependencies (once, about half a minute)', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, wanted);
}

function generateProtos() {
  const inputs = [...filesBelow(join(root, 'proto'), '.proto'), join(root, 'proto', 'generate.mjs')];
  const stamp = join(root, 'proto', 'gen', '.stamp');
  const wanted = hashOf(inputs, (file) => readFileSync(file));
  if (readIfThere(stamp) === wanted) return;
  step('generating the protocol code', process.execPath, ['proto/generate.mjs']);
  writeFileSync(stamp, wanted);
}

function build() {
  const inputs = [
    ...SOURCES.flatMap((folder) => filesBelow(join(root, folder), '.ts')),
    join(root, 'tsconfig.json'),
    join(root, 'tsconfig.build.json'),
  ];
  const stamp = join(root, 'dist', '.stamp');
  const wanted = hashOf(inputs, (file) => readFileSync(file)) + readIfThere(join(root, 'proto', 'gen', '.stamp'));
  if (readIfThere(stamp) === wanted) return;
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  step('building', process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
  copyFileSync(join(root, 'proto', 'gen', 'codec.js'), join(root, 'dist', 'proto', 'gen', 'codec.js'));
  chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755);
  writeFileSync(stamp, wanted);
}

/** So that `npx shoal` in the clone finds this very build. */
function linkExecutable() {
  const link = join(root, 'node_modules', '.bin', 'shoal');
  const target = '../../deploy/shoal';
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(link) === target) return;
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(target, link);
}

function run(args) {
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
  // The terminal sends Ctrl-C to the child as well; this process waits for it to clean up. A signal sent to npm alone is passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
  });
}

function step(what, command, args) {
  process.stderr.write(`shoal: ${what}...\n`);
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32' });
  if (result.status !== 0) fail(`${what} failed (${command} ${args.join(' ')}): see above, then run this again.`);
}

function filesBelow(folder, ending) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return entry.name === 'gen' ? [] : filesBelow(path, ending);
      return entry.name.endsWith(ending) ? [path] : [];
    })
    .sort();
}

function hashOf(files, contentOf) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file.slice(root.length)).update('\0').update(contentOf(file));
  return hash.digest('hex');
}

function readIfThere(file) {
  return existsSync(file) && statSync(file).isFile() ? readFileSync(file, 'utf8') : '';
}

function fail(message) {
  process.stderr.write(`shoal: ${message}\n`);
  process.exit(1);
}

main();
