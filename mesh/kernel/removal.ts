// Takes everything out of the kernel that a mesh of this node has put there, and nothing else. Needs no mesh.
import { messageOf, ShoalError } from '../../lib/errors.ts';
import { closeDocker } from './forwarding.ts';
import { tableName } from './rules.ts';
import { removalScript } from './script.ts';
import { type RunTool } from './tools.ts';

/** Rejects where something may be left. On a node that never had rules, or cannot have any, it does nothing. */
export async function removeRules(nodeId: string, run: RunTool): Promise<void> {
  const table = tableName(nodeId);
  try {
    await run('nft', ['-j', 'list', 'table', 'inet', table]);
  } catch (error) {
    const { code } = ShoalError.from(error);
    // Whoever may not look may not have made any.
    const none = ['unimplemented', 'permission_denied'].includes(code) || messageOf(error).includes('No such file or directory');
    if (!none) throw error;
    await closeDocker(table, run);
    return;
  }
  await run('nft', ['-f', '-'], removalScript(table));
  await closeDocker(table, run);
}
