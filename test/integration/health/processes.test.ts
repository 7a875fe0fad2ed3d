import { spawn } from 'node:child_process';
import { ContainerSpec } from '../../../proto/index.ts';
import { ownLoopback } from '../../support/sockets.ts';
import { GRPC, HTTP, probes, SERVER, TCP } from './probes.ts';

describe('probes of plain processes', function () {
  this.timeout(90_000);
  probes((file) => ({
    socketPath: '',
    // Its ports are this process's own.
    dataAddress: ownLoopback(),
    container: ContainerSpec.create({
      image: 'process',
      command: ['/bin/sh', '-c', `exec "$0" "$@" "$PORT_${HTTP}" "$PORT_${GRPC}" "$PORT_${TCP}"`, process.execPath, SERVER, file],
      stopGracePeriodMs: 1000,
    }),
    inTask: (path) => path,
    spawn: (command, args) => spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] }),
  }));
});
