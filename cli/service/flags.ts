// The flags of `service create` and `service update`. Both set the same things; update has --x-add and --x-rm where create has --x.
import { type Command, Option } from 'commander';
import { toggle } from '../command-line/toggles.ts';
import { listFlag } from '../command-line/verb.ts';
import { LATER_FLAGS } from './later-flags.ts';
import { camelCase } from './spec/flag-reader.ts';

/** Lists that update edits: name, short form (create only), placeholder, what it is. */
const LISTS: readonly (readonly [name: string, short: string, value: string, what: string])[] = [
  [
    'publish',
    '-p',
    'PORT',
    'published port: 8080:80, 53:53/udp, 8080-8082:80-82, published=8080,target=80,mode=host or ' +
      'published=80,target=3000,protocol=http,host=app.example.com,path=/api (docs/publishing.md has all settings)',
  ],
  ['env', '-e', 'KEY=VALUE', 'environment variable'],
  ['label', '-l', 'KEY=VALUE', 'label of the service'],
  ['container-label', '', 'KEY=VALUE', 'label of the containers'],
  ['mount', '', 'MOUNT', 'mount: type=volume,source=data,target=/data[,readonly]'],
  ['constraint', '', 'CONSTRAINT', 'placement constraint: node.labels.ssd==true, node.labels.zone in (a, b)'],
  ['placement-pref', '', 'PREFERENCE', 'spread=node.labels.dc, affinity=service:web,weight=50 or anti-affinity=node.labels.disk==hdd'],
  ['generic-resource', '', 'KIND=N', 'generic resource that a node must have free: gpu=2'],
  ['host', '', 'HOST:IP', 'line of /etc/hosts'],
  ['dns', '', 'IP', 'DNS server'],
  ['dns-search', '', 'DOMAIN', 'DNS search domain'],
  ['dns-option', '', 'OPTION', 'DNS option'],
  ['ulimit', '', 'NAME=SOFT[:HARD]', 'resource limit of the processes'],
  ['group', '', 'GROUP', 'supplementary group of the user'],
];

/** What --x-rm takes, where that is not simply the key. */
const REMOVAL_VALUES: Readonly<Record<string, string>> = {
  publish: 'TARGET[/PROTOCOL]',
  mount: 'TARGET',
  constraint: 'CONSTRAINT',
  'placement-pref': 'PREFERENCE',
  'generic-resource': 'KIND',
  host: 'HOST',
  dns: 'IP',
  'dns-search': 'DOMAIN',
  'dns-option': 'OPTION',
  ulimit: 'NAME',
  group: 'GROUP',
};

const REMOVAL_HELP: Readonly<Record<string, string>> = {
  publish: 'port, by the target (the port in the container): 80, 53/udp; or by 8080:80, published=8080',
};

export function declareCreateFlags(command: Command): void {
  command.option('--name <NAME>', 'name of the service (default: a made-up one)');
  command.option('--mode <MODE>', 'replicated, global, replicated-job or global-job (default: replicated)');
  for (const [name, short, value, what] of LISTS) listFlag(command, `${short === '' ? '' : `${short}, `}--${name} <${value}>`, what);
  listFlag(
    command,
    '--env-file <FILE>',
    'file of KEY=VALUE lines (not with npx: on Node.js 20 it takes the flag itself; run ./deploy/shoal, or `npm link` once)',
  );
  listFlag(command, '--tmpfs <PATH[:OPTIONS]>', 'tmpfs mount: /run:size=64m,mode=1777');
  declareShared(command);
}

export function declareUpdateFlags(command: Command): void {
  command.option('--image <IMAGE>', 'image');
  command.option('--args <ARGS>', 'arguments of the command, split as a shell would');
  toggle(command, '--force', 'replace all tasks even though nothing changed');
  toggle(command, '--rollback', 'go back to the spec before this one, as `service rollback` does');
  command.option(
    '--canary <SHARE>',
    'try the new version beside the present one with that share of new connections, such as 10%; or change the share',
  );
  command.option(
    '--canary-promote-after <DURATION>',
    'promote the canary when all of its tasks have been up for so long (default: never by itself)',
  );
  toggle(command, '--promote', 'bring all tasks to the version of the canary');
  toggle(command, '--abort', 'give the canary up');
  for (const [name, , value, what] of LISTS) {
    listFlag(command, `--${name}-add <${value}>`, `add or replace: ${what}`);
    listFlag(command, `--${name}-rm <${REMOVAL_VALUES[name] ?? 'KEY'}>`, `remove: ${REMOVAL_HELP[name] ?? what.replace(/:.*/, '')}`);
  }
  declareShared(command);
  // After the flags that they undo: commander takes a lone --no-x for "x is on by default".
  removalFlag(command, 'probe', 'remove all three');
  removalFlag(command, 'readiness-probe', 'remove the readiness probe');
  removalFlag(command, 'liveness-probe', 'remove the liveness probe');
  removalFlag(command, 'startup-probe', 'remove the start-up probe');
}

/** `--no-x` beside `--x VALUE`, kept apart as `without-x` (false where it is given), so that both at once are seen. */
function removalFlag(command: Command, name: string, description: string): void {
  const option = new Option(`--no-${name}`, description);
  command.addOption(Object.assign(option, { attributeName: () => camelCase(`without-${name}`) }));
}

function declareShared(command: Command): void {
  declareContainerFlags(command);
  declareTaskFlags(command);
  declareJobFlags(command);
  declareRolloutFlags(command);
  for (const { flag, takesValue } of LATER_FLAGS) {
    if (takesValue) listFlag(command, `--${flag} <VALUE>`, '');
    else command.option(`--${flag}`, '');
  }
  const later = new Set(LATER_FLAGS.map(({ flag }) => `--${flag}`));
  for (const option of command.options) if (option.long !== undefined && later.has(option.long)) option.hideHelp();
}

function declareContainerFlags(command: Command): void {
  command
    .option('--entrypoint <COMMAND>', "replaces the image's entrypoint, split as a shell would")
    .option('-u, --user <USER[:GROUP]>', 'user or uid')
    .option('-w, --workdir <DIR>', 'working directory')
    .option('--hostname <NAME>', 'hostname of the containers; templates such as web-{{.Task.Slot}} are filled in')
    .option('--stop-signal <SIGNAL>', 'signal that stops a container')
    .option('--stop-grace-period <DURATION>', 'time between that signal and a kill')
    .option('--health-cmd <COMMAND>', 'command that checks health')
    .option('--health-interval <DURATION>', 'time between checks')
    .option('--health-timeout <DURATION>', 'longest time of one check')
    .option('--health-retries <N>', 'failures in a row that make a task unhealthy')
    .option('--health-start-period <DURATION>', 'time in which failures do not count');
  toggle(command, '--no-healthcheck', "do not use the image's health check");
  declareProbeFlags(command);
  listFlag(command, '--cap-add <CAPABILITY>', 'add a Linux capability');
  listFlag(command, '--cap-drop <CAPABILITY>', 'drop a Linux capability');
  toggle(command, '--read-only', 'mount the root filesystem read-only');
  toggle(command, '--init', 'run an init in each container that forwards signals and reaps');
  toggle(command, '-t, --tty', 'give each container a pseudo-terminal');
  toggle(command, '--with-registry-auth', 'let the nodes pull with your registry login');
  toggle(command, '--no-resolve-image', 'do not ask the registry for the digest of the image');
}

function declareProbeFlags(command: Command): void {
  command
    .option(
      '--probe <CHECK[,OPTIONS]>',
      'readiness and liveness at once: tcp:PORT, http:PORT/PATH, https:PORT/PATH, grpc:PORT[/SERVICE] or exec:COMMAND; ' +
        'options interval=10s, timeout=1s, failures=3, successes=1, initial-delay=0s; of http also host=NAME, header=NAME:VALUE',
    )
    .option('--readiness-probe <CHECK[,OPTIONS]>', 'while it fails, a task gets no traffic')
    .option('--liveness-probe <CHECK[,OPTIONS]>', 'a task that fails it is replaced')
    .option('--startup-probe <CHECK[,OPTIONS]>', 'a task is starting until it has passed; interval=1s, failures=60 unless given');
}

function declareTaskFlags(command: Command): void {
  command
    .option('--replicas <N>', 'number of tasks; of a replicated job, completions that it takes')
    .option('--replicas-max-per-node <N>', 'most tasks on one node (0: no limit)')
    .option('--priority <N>', 'placed before tasks of lower priority; takes their place where the cluster allows that (default: 0)')
    .option('--reserve-cpu <CPUS>', 'CPUs that a node must have free')
    .option('--reserve-memory <SIZE>', 'memory that a node must have free')
    .option('--limit-cpu <CPUS>', 'most CPUs that a task may use')
    .option('--limit-memory <SIZE>', 'most memory that a task may use')
    .option('--limit-pids <N>', 'most processes of a task (0: no limit)')
    .addOption(new Option('--restart-condition <CONDITION>', 'when a task that ended is replaced: any, on-failure or none (default: any)'))
    .option('--restart-delay <DURATION>', 'time before a replacement starts (default: 5s, growing with failures)')
    .option('--restart-max-attempts <N>', 'replacements before giving up (0: no limit)')
    .option(
      '--restart-window <DURATION>',
      'only those within that time before count; used up, the task is not replaced until the next update',
    )
    .option('--log-driver <DRIVER>', 'logging driver of the engine');
  listFlag(command, '--log-opt <KEY=VALUE>', 'option of the logging driver');
}

function declareJobFlags(command: Command): void {
  command
    .option('--max-concurrent <N>', 'tasks of a replicated job at once (0: all)')
    .option('--schedule <CRON>', 'when a job runs, such as "0 3 * * *" (default: when it is created or updated)')
    .option('--schedule-timezone <ZONE>', 'time zone of the schedule, such as Europe/Berlin (default: UTC)')
    .option('--schedule-overlap <POLICY>', 'while the last run still runs: allow, forbid or replace (default: allow)')
    .option('--schedule-missed <POLICY>', 'what was due while no manager led: run-once or skip (default: run-once)')
    .option('--history-limit <N>', 'ended runs of a job that are kept besides the newest (default: 5)')
    .option('--job-deadline <DURATION>', 'a run that takes longer is stopped and has failed (default: 0, none)')
    .option('--ttl <DURATION>', 'the tasks of a run are removed so long after its end');
  toggle(command, '--schedule-paused', 'do not run by the schedule for now');
}

function declareRolloutFlags(command: Command): void {
  for (const kind of ['update', 'rollback'] as const) {
    command
      .option(`--${kind}-parallelism <N>`, `tasks replaced at once (0: all)`)
      .option(`--${kind}-delay <DURATION>`, 'time between them')
      .option(`--${kind}-monitor <DURATION>`, 'time in which a failure of a new task counts (default: 5s)')
      .option(`--${kind}-progress-deadline <DURATION>`, 'a new task that is not up by then has failed (default: 10m, 0: never)')
      .option(
        `--${kind}-failure-action <ACTION>`,
        `what to do when too many fail: pause, continue${kind === 'update' ? ' or rollback' : ''} (default: pause)`,
      )
      .option(`--${kind}-max-failure-ratio <RATIO>`, 'share of tasks that may fail, 0 to 1')
      .option(`--${kind}-order <ORDER>`, 'auto, stop-first or start-first (default: auto)');
  }
  command.option('--spec-history-limit <N>', 'earlier specs that can be gone back to (default: 5)');
  command.option('--drain-period <DURATION>', 'longest wait for the open connections of a task that is to stop (default: 10s)');
  command.option('--rebalance <POLICY>', 'manual, or auto: tasks also move by themselves after nodes have changed (default: manual)');
  command.option(
    '--on-return <POLICY>',
    'when a lost node returns with a task that was replaced: keep-new or keep-old (default: keep-new)',
  );
  toggle(command, '--no-port-check', 'send traffic to a task before its port was seen to answer');
}
