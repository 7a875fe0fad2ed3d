#!/usr/bin/env node
// The executable `shoal`. The only file that knows all roles, each loaded by the command that runs it.
import type { LazyCommand } from './program.ts';
import { runCli } from './run.ts';
import { processShell } from './shell.ts';

const GROUP = 'Roles of a cluster:';
const shell = processShell();

const ROLES: readonly LazyCommand[] = [
  { name: 'manager', summary: 'Run a manager', group: GROUP, load: async () => (await import('../manager/command.ts')).configureManager },
  {
    name: 'agent',
    summary: 'Run the agent of a node',
    group: GROUP,
    load: async () => (await import('../agent/command.ts')).configureAgent,
  },
  { name: 'mesh', summary: 'Run the mesh of a node', group: GROUP, load: async () => (await import('../mesh/command.ts')).configureMesh },
  {
    name: 'dev',
    summary: 'Run a whole cluster on this machine',
    group: GROUP,
    load: async () => {
      const { configureDev } = await import('./dev/command.ts');
      return (command) => {
        configureDev(command, shell);
      };
    },
  },
];

process.exitCode = await runCli(process.argv.slice(2), shell, ROLES);
