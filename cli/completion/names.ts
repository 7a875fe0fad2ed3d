// `__complete KIND`: the names that completion scripts offer, one per line. Says nothing where no manager answers: nobody asked for an error.
import { TaskState } from '../../proto/index.ts';
import type { Control } from '../client/control.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { findLayout, readCluster } from '../dev/layout.ts';

export async function run(context: VerbContext, [kind = '']: readonly string[]): Promise<undefined> {
  try {
    const names = kind === 'parts' ? partNames(context) : await namesOf(kind, await context.control());
    context.shell.out.write(
      [...new Set(names)]
        .sort()
        .map((name) => `${name}\n`)
        .join(''),
    );
  } catch {
    // Completion then offers nothing.
  }
}

async function namesOf(kind: string, control: Control): Promise<readonly string[]> {
  switch (kind) {
    case 'services':
      return serviceNames(control);
    case 'nodes': {
      const { nodes } = await control.read((client, call) => client.listNodes({ filters: [], refs: [] }, call));
      return nodes.map((node) => node.status?.description?.hostname || node.id);
    }
    case 'tasks':
      return taskNames(control);
    case 'logs':
      return [...(await serviceNames(control)), ...(await taskNames(control))];
    default:
      return [];
  }
}

/** Of the development cluster here: they are not asked for at a manager, which may be the one that has ended. */
function partNames({ shell }: VerbContext): readonly string[] {
  return readCluster(findLayout(shell.cwd))?.processes.map(({ name }) => name) ?? [];
}

async function serviceNames(control: Control): Promise<readonly string[]> {
  const { services } = await control.read((client, call) => client.listServices({ filters: [] }, call));
  return services.map((service) => service.spec?.name ?? service.id);
}

async function taskNames(control: Control): Promise<readonly string[]> {
  const request = { filters: [], serviceRefs: [], nodeRefs: [], taskRefs: [] };
  const { tasks } = await control.read((client, call) => client.listTasks(request, call));
  return tasks.filter((task) => task.desired <= TaskState.COMPLETE && task.state < TaskState.COMPLETE).map((task) => task.name);
}
