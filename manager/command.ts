// `shoal manager`: flags and nothing else; the manager itself is loaded when it runs.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { ManagerFlags } from './options.ts';

export function configureManager(command: Command): void {
  const dataDir = process.getuid?.() === 0 ? '/var/lib/shoal/manager' : join(homedir(), '.local/share/shoal/manager');
  command
    .description('run a manager: state, scheduling, control API and agent sessions')
    .option('--etcd <url>', 'etcd endpoint, repeatable; without one, state is kept in the embedded store', collect)
    .option('--etcd-prefix <prefix>', 'keys of this cluster in etcd', '/shoal/')
    .option('--data-dir <dir>', "the manager's own data, and the embedded store", dataDir)
    .option('--listen <host:port>', 'control API and agent sessions', '127.0.0.1:7420')
    .addOption(new Option('--advertise-addr <host:port>', 'address that agents and other managers are told (default: --listen)'))
    .option('--insecure', 'listen on an address that other hosts reach, though connections are not authenticated yet', false)
    .option('--insecure-registry <host:port>', 'registry to be asked over plain HTTP, repeatable', collect)
    .option('--health-addr <host:port>', '/livez, /readyz and /metrics, or "none"', '127.0.0.1:7421')
    .option('--log-level <level>', 'error, warn, info or debug', 'info')
    .option('--log-format <format>', 'auto, json or short', 'auto')
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async (flags: ManagerFlags) => {
      const { checkManagerFlags } = await import('./options.ts');
      const { strayArguments } = await import('../lib/unknown-flags.ts');
      const strays = strayArguments(
        command.args,
        command.options.flatMap(({ long }) => long ?? []),
      );
      const options = checkManagerFlags(flags, strays);
      const { runManager } = await import('./main.ts');
      const { runDaemon } = await import('../lib/daemon.ts');
      const log = { role: 'manager', level: options.logLevel, format: options.logFormat };
      await runDaemon(log, 'it starts from the store again', (signal) => runManager(options, signal));
    });
}

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}
