// `shoal mesh`: the flags of the mesh process.
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ShoalError } from '../lib/errors.ts';

interface Flags {
  readonly dataDir?: string;
  readonly nodeId: string;
  readonly listen: readonly string[];
  readonly portOffset: number;
  readonly tlsDir?: string;
  readonly purge: boolean;
  readonly healthAddr?: { readonly host: string; readonly port: number };
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
  readonly logFormat: 'auto' | 'json' | 'short';
}

export function configureMesh(command: Command): void {
  command
    .description(
      'Answer every published port on this node and route it to a healthy replica; started by the agent. With a verb: see what the meshes do',
    )
    .allowExcessArguments(false)
    // Not commander's own required option: that one would be asked of the verbs below this command too.
    .option('--data-dir <dir>', 'folder for the route table and the socket; one mesh per folder (required)')
    .option('--node-id <id>', 'this node, whose own replicas are preferred (default: as the agent says)', '')
    .option('--listen <addr>', 'address to answer published ports on; repeatable (default: all, IPv4 and IPv6)', addAddress, [])
    .option('--port-offset <n>', 'added to every published port, for several nodes on one address', portOffset, 0)
    .option('--tls-dir <dir>', 'folder with NAME.crt and NAME.key for ports with TLS (default: tls in the data directory)')
    .option('--purge', 'remove the rules that a mesh of this node has left in the kernel, and exit', false)
    .option('--health-addr <host:port>', 'serve /livez, /readyz and /metrics there (default: not at all)', hostAndPort)
    .addOption(new Option('--log-level <level>', 'least level that is logged').choices(['error', 'warn', 'info', 'debug']).default('info'))
    .addOption(new Option('--log-format <format>', 'JSON or short lines').choices(['auto', 'json', 'short']).default('auto'))
    .action(async () => {
      const { dataDir, ...flags } = command.opts<Flags>();
      if (dataDir === undefined) command.error("error: required option '--data-dir <dir>' not specified");
      else await run(dataDir, flags);
    });
}

async function run(dataDir: string, flags: Omit<Flags, 'dataDir'>): Promise<void> {
  if (flags.purge) {
    await purge(flags.nodeId);
    return;
  }
  const [{ createLogger }, { runDaemon }, { runMesh }] = await Promise.all([
    import('../lib/log.ts'),
    import('../lib/daemon.ts'),
    import('./main.ts'),
  ]);
  const logOptions = { role: 'mesh', level: flags.logLevel, format: flags.logFormat };
  const options = {
    dataDir: resolve(dataDir),
    nodeId: flags.nodeId,
    listen: flags.listen,
    portOffset: flags.portOffset,
    tlsDir: flags.tlsDir === undefined ? undefined : resolve(flags.tlsDir),
    health: flags.healthAddr,
    log: createLogger(logOptions),
    env: process.env,
    command: [process.execPath, ...process.execArgv.filter((flag) => !flag.startsWith('--inspect')), ...process.argv.slice(1)],
  };
  await runDaemon(logOptions, 'its agent starts it again', (signal) => runMesh(options, { signal }));
}

async function purge(nodeId: string): Promise<void> {
  const [{ systemClock }, { removeRules }, { systemTools }] = await Promise.all([
    import('../lib/clock.ts'),
    import('./kernel/removal.ts'),
    import('./kernel/tools.ts'),
  ]);
  if (nodeId === '') throw new ShoalError('invalid_argument', '--purge needs --node-id: rules are named after their node');
  await removeRules(nodeId, systemTools(systemClock));
}

function addAddress(value: string, before: readonly string[]): readonly string[] {
  if (isIP(value) === 0) throw new InvalidArgumentError('an IPv4 or IPv6 address is needed, such as 192.0.2.10 or ::');
  return before.includes(value) ? before : [...before, value];
}

function portOffset(value: string): number {
  const offset = Number(value);
  if (!Number.isInteger(offset) || offset < 0 || offset > 60_000) throw new InvalidArgumentError('a number from 0 to 60000 is needed');
  return offset;
}

function hostAndPort(value: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(value);
  const host = match?.groups?.['v6'] ?? match?.groups?.['host'];
  const port = Number(match?.groups?.['port']);
  if (host === undefined || port > 65_535) throw new InvalidArgumentError('host:port is needed, such as 127.0.0.1:9101 or [::1]:9101');
  return { host, port };
}
