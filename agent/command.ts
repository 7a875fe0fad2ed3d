// `shoal agent`: flags and nothing else; the agent itself is loaded when it runs.
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command } from 'commander';
import type { AgentFlags } from './options.ts';

export function configureAgent(command: Command): void {
  const dataDir = process.getuid?.() === 0 ? '/var/lib/shoal/agent' : join(homedir(), '.local/share/shoal/agent');
  command
    .description('run the agent of a node: tasks, and the mesh that answers published ports')
    .option('--manager <host:port>', 'a manager of the cluster, repeatable; the others are learnt from it', collect)
    .option('--data-dir <dir>', "this node's identity and state; one agent per folder", dataDir)
    .option('--data-addr <ip>', 'address of this host that the other nodes reach (default: 127.0.0.1 with a manager there)')
    .option('--mesh-listen <ip>', 'address to answer published ports on (host-mode ones too), repeatable (default: all)', collect)
    .option('--mesh-port-offset <n>', 'added to every published port, for several nodes on one address', '0')
    .option('--runtime <name>', 'docker (also Podman), or process: plain processes of this host, without isolation', 'docker')
    .option('--docker-host <socket>', 'unix:///path of the engine (default: DOCKER_HOST, or the usual places)')
    .option('--label <key=value>', 'label of the node at its first registration, repeatable (later: shoal node update)', collect)
    .option('--hostname <name>', "name of the node (default: the host's)")
    .option('--health-addr <host:port>', '/livez, /readyz and /metrics, or "none"', '127.0.0.1:7422')
    .option('--mesh-health-addr <host:port>', 'the same of the mesh (default: none)')
    .option('--cpus <n>', "CPUs to offer (default: the engine's)")
    .option('--memory <size>', "memory to offer, such as 8GiB (default: the engine's)")
    .option('--generic-resource <kind=n|name>', 'what else there is: gpu=2, or named: gpu=UUID1, repeatable', collect)
    .option('--gc-interval <duration>', 'how often the host is cleaned up, or "none"', '5m')
    .option('--gc-containers-per-slot <n>', 'finished containers to keep of each slot, for their logs', '5')
    .option('--gc-containers <n>', 'finished containers to keep in all', '100')
    .option('--gc-image-size <size>', 'how much of images that Shoal pulled and nothing uses to keep, or "none" for no bound', '10GiB')
    .option('--gc-image-age <duration>', 'such images go when nothing has used them for so long, or "none" for never', '168h')
    .option('--ephemeral', "on SIGTERM stop this node's tasks and mesh too; otherwise they go on", false)
    .option('--purge', "stop and remove this node's tasks and mesh, and exit", false)
    .option('--kill', 'with --purge: give the tasks no time to stop', false)
    .option('--log-level <level>', 'error, warn, info or debug', 'info')
    .option('--log-format <format>', 'auto, json or short', 'auto')
    .allowUnknownOption()
    .allowExcessArguments()
    .action(async (flags: AgentFlags) => {
      const { checkAgentFlags } = await import('./options.ts');
      const { foreignAddress } = await import('./ports/bindable.ts');
      // What is purged needs no address.
      const foreign = flags.dataAddr === undefined || flags.purge ? undefined : await foreignAddress(flags.dataAddr);
      const { strayArguments } = await import('../lib/unknown-flags.ts');
      const strays = strayArguments(
        command.args,
        command.options.flatMap(({ long }) => long ?? []),
      );
      const { knowsManagers } = await import('./session/manager-list.ts');
      const settings = checkAgentFlags(flags, foreign, strays, knowsManagers(flags.dataDir));
      const { agentProcess } = await import('./process.ts');
      await agentProcess(settings);
    });
}

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}
