// What a mesh that is gone has left in the kernel is taken away by the mesh's own program, which alone knows what that is.
import { execFile } from 'node:child_process';
import { messageOf, ShoalError } from '../../lib/errors.ts';
import type { MeshCommandLine } from './mesh-process.ts';

/** Node.js takes a second to load on a busy host, and each program it runs has 5 s. */
const DEADLINE_MS = 30_000;

/** Runs `shoal mesh --purge` to its end. Rejects with what it said where something may be left. */
export async function purgeMesh({ command, dataDir, nodeId }: Pick<MeshCommandLine, 'command' | 'dataDir' | 'nodeId'>): Promise<void> {
  const [program, ...before] = command;
  const args = [...before, 'mesh', '--data-dir', dataDir, '--node-id', nodeId, '--purge'];
  await new Promise<void>((resolve, reject) => {
    execFile(program, args, { timeout: DEADLINE_MS, killSignal: 'SIGKILL' }, (error, _stdout, stderr) => {
      if (error === null) {
        resolve();
        return;
      }
      const why = stderr.trim() || messageOf(error);
      reject(new ShoalError('unavailable', `rules of the mesh may be left in the kernel: ${why}`, { cause: error }));
    });
  });
}
