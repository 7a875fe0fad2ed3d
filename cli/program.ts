// The tree of commands. Nouns are known by name alone; what is below one is loaded when it is used.
import { Command } from 'commander';
import { VERSION } from '../lib/version.ts';
import { makeNoun, unknownCommand } from './command-line/noun.ts';
import { type Launch, listFlag } from './command-line/verb.ts';
import { usageMistake } from './command-line/usage-error.ts';
import type { Shell } from './shell.ts';

/** A command whose flags and verbs are declared by `configure`, loaded when needed. */
export interface LazyCommand {
  readonly name: string;
  readonly summary: string;
  /** Undefined for commands that people do not type. */
  readonly group: string | undefined;
  load(): Promise<(command: Command, launch: Launch) => void>;
}

const CLIENT_GROUP = 'Commands:';

const CLIENT_COMMANDS: readonly LazyCommand[] = [
  {
    name: 'service',
    summary: 'Manage services',
    group: CLIENT_GROUP,
    load: async () => (await import('./service/command.ts')).configureService,
  },
  { name: 'node', summary: 'Manage nodes', group: CLIENT_GROUP, load: async () => (await import('./node/command.ts')).configureNode },
  {
    name: 'cluster',
    summary: 'Manage the cluster',
    group: CLIENT_GROUP,
    load: async () => (await import('./cluster/command.ts')).configureCluster,
  },
  {
    name: 'mesh',
    summary: 'See what the meshes do',
    group: CLIENT_GROUP,
    load: async () => (await import('./mesh/command.ts')).configureMeshVerbs,
  },
  {
    name: 'exec',
    summary: 'Run a command in a running task',
    group: CLIENT_GROUP,
    load: async () => (await import('./task/command.ts')).configureExec,
  },
  {
    name: 'events',
    summary: 'Show what happens in the cluster',
    group: CLIENT_GROUP,
    load: async () => (await import('./cluster/command.ts')).configureEvents,
  },
  {
    name: 'version',
    summary: 'Show versions of client and cluster',
    group: CLIENT_GROUP,
    load: async () => (await import('./cluster/command.ts')).configureVersion,
  },
  {
    name: 'completion',
    summary: 'Print a completion script for a shell',
    group: CLIENT_GROUP,
    load: async () => (await import('./completion/command.ts')).configureCompletion,
  },
  {
    name: '__complete',
    summary: 'Names for completion',
    group: undefined,
    load: async () => (await import('./completion/command.ts')).configureComplete,
  },
];

export interface Program {
  readonly command: Command;
  /** Loads every command, for completion. */
  loadAll(): Promise<void>;
}

/** `roles`: the commands that only the executable's entry may load. */
export function createProgram(shell: Shell, roles: readonly LazyCommand[], launch: Launch): Program {
  const command = new Command('shoal')
    .description('Shoal runs services on a cluster of hosts and answers their published ports on every one of them.')
    .usage('[--host HOST:PORT] COMMAND')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => shell.out.write(text),
      // Errors are printed once, by whoever runs the program.
      writeErr: () => undefined,
      getOutHelpWidth: () => shell.out.columns,
      getOutHasColors: () => false,
    })
    .version(VERSION, '-v, --version', 'print the version of this client')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false);
  listFlag(command, '-H, --host <HOST:PORT>', 'manager to talk to, several for when one is away (env SHOAL_HOST)');

  const pending = new Map<Command, LazyCommand>();
  for (const lazy of withRoles(roles)) {
    const noun = command
      .command(lazy.name, { hidden: lazy.group === undefined })
      .summary(lazy.summary)
      .description(`${lazy.summary}.`);
    if (lazy.group !== undefined) noun.helpGroup(lazy.group);
    pending.set(noun, lazy);
  }
  const load = async (noun: Command): Promise<void> => {
    const lazy = pending.get(noun);
    if (lazy === undefined) return;
    pending.delete(noun);
    (await lazy.load())(noun, launch);
    refuseMistakes(noun);
  };
  command.hook('preSubcommand', (_parent, noun) => load(noun));
  addHelp(command, load);
  makeNoun(command);
  return {
    command,
    loadAll: async () => {
      for (const noun of [...pending.keys()]) await load(noun);
    },
  };
}

/** A role may be named as a noun is: then it is what the noun does without a verb. */
function withRoles(roles: readonly LazyCommand[]): readonly LazyCommand[] {
  const merged = CLIENT_COMMANDS.map((noun) => {
    const role = roles.find(({ name }) => name === noun.name);
    if (role === undefined) return noun;
    const load = async (): ReturnType<LazyCommand['load']> => {
      const parts = await Promise.all([noun.load(), role.load()]);
      return (command, launch) => {
        for (const configure of parts) configure(command, launch);
      };
    };
    return { ...noun, summary: `${noun.summary}; run that of a node`, load };
  });
  return [...merged, ...roles.filter(({ name }) => !CLIENT_COMMANDS.some((noun) => noun.name === name))];
}

/** A mistake in the flags of a command names the help of that command. */
function refuseMistakes(command: Command): void {
  command.exitOverride((error) => {
    throw error.exitCode === 0 ? error : usageMistake(command, error);
  });
  for (const child of command.commands) refuseMistakes(child);
}

/** `shoal help service create` */
function addHelp(program: Command, load: (noun: Command) => Promise<void>): void {
  program
    .command('help [COMMAND...]')
    .summary('Show help for a command')
    .helpGroup(CLIENT_GROUP)
    .action(async (names: readonly string[]) => {
      let shown = program;
      for (const name of names) {
        const next = findCommand(shown, name);
        if (next === undefined) throw unknownCommand(shown, name);
        await load(next);
        shown = next;
      }
      shown.outputHelp();
    });
}

function findCommand(parent: Command, name: string): Command | undefined {
  return parent.commands.find((command) => command.name() === name || command.aliases().includes(name));
}
