// The Linux kernel's capabilities (include/uapi/linux/capability.h, up to 6.x): what is none of them an engine would refuse only when the task starts.
import { suggest } from '../../../lib/suggest.ts';

const CAPABILITIES: readonly string[] = [
  ...[
    'AUDIT_CONTROL',
    'AUDIT_READ',
    'AUDIT_WRITE',
    'BLOCK_SUSPEND',
    'BPF',
    'CHECKPOINT_RESTORE',
    'CHOWN',
    'DAC_OVERRIDE',
    'DAC_READ_SEARCH',
  ],
  ...['FOWNER', 'FSETID', 'IPC_LOCK', 'IPC_OWNER', 'KILL', 'LEASE', 'LINUX_IMMUTABLE', 'MAC_ADMIN', 'MAC_OVERRIDE', 'MKNOD', 'NET_ADMIN'],
  ...[
    'NET_BIND_SERVICE',
    'NET_BROADCAST',
    'NET_RAW',
    'PERFMON',
    'SETFCAP',
    'SETGID',
    'SETPCAP',
    'SETUID',
    'SYSLOG',
    'SYS_ADMIN',
    'SYS_BOOT',
  ],
  ...[
    'SYS_CHROOT',
    'SYS_MODULE',
    'SYS_NICE',
    'SYS_PACCT',
    'SYS_PTRACE',
    'SYS_RAWIO',
    'SYS_RESOURCE',
    'SYS_TIME',
    'SYS_TTY_CONFIG',
    'WAKE_ALARM',
  ],
];

/** With and without CAP_, in any case; ALL too. What is wrong with it, in words that follow the name; undefined: it is one. */
export function capabilityProblem(text: string): string | undefined {
  const name = text.toUpperCase().replace(/^CAP_/, '');
  if (CAPABILITIES.includes(name) || text.toUpperCase() === 'ALL') return undefined;
  const near = suggest(name, CAPABILITIES);
  return `is not a capability of Linux${near === undefined ? ', such as NET_ADMIN' : ` (did you mean ${near}?)`}`;
}
