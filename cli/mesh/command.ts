// `shoal mesh status` and `shoal mesh routes`. Without a verb `shoal mesh` runs the role, which is not this file's affair.
import type { Command } from 'commander';
import { makeNoun } from '../command-line/noun.ts';
import { filterFlag, formatFlag } from '../command-line/shared-flags.ts';
import { toggle } from '../command-line/toggles.ts';
import { addVerb, type Launch } from '../command-line/verb.ts';

export function configureMeshVerbs(mesh: Command, launch: Launch): void {
  makeNoun(mesh);

  const status = addVerb(mesh, 'status [NODE...]', 'Show the meshes of all nodes; of nodes that are named, each published port');
  filterFlag(status);
  formatFlag(status);
  toggle(status, '-q, --quiet', 'only show ids of nodes, or names of ports');
  status.action(launch(() => import('./status.ts')));

  const routes = addVerb(
    mesh,
    'routes [NODE...]',
    'Show the replicas behind each published port, as the meshes of all or some nodes see them',
  );
  filterFlag(routes);
  formatFlag(routes);
  toggle(routes, '--no-trunc', 'do not shorten ids');
  toggle(routes, '-q, --quiet', 'only show ids of tasks');
  routes.action(launch(() => import('./routes.ts')));
}
