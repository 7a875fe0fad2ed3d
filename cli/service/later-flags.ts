// Docker's flags that Shoal does not have yet: known, so that the refusal can say so instead of "unknown flag".

interface LaterFlag {
  /** Without the dashes. */
  readonly flag: string;
  readonly takesValue: boolean;
  readonly why: string;
}

const NETWORKS = 'networks come with a later version';
const SECRETS = 'secrets and configs come with a later version';

export const LATER_FLAGS: readonly LaterFlag[] = [
  ...editable('network', NETWORKS),
  ...editable('secret', SECRETS),
  ...editable('config', SECRETS),
  ...editable('sysctl', 'sysctls come with a later version'),
  { flag: 'endpoint-mode', takesValue: true, why: NETWORKS },
  { flag: 'oom-score-adj', takesValue: true, why: 'it comes with a later version' },
  { flag: 'health-start-interval', takesValue: true, why: 'it comes with a later version' },
  { flag: 'credential-spec', takesValue: true, why: 'it is for Windows containers, which Shoal does not run' },
  { flag: 'isolation', takesValue: true, why: 'it is for Windows containers, which Shoal does not run' },
];

function editable(flag: string, why: string): readonly LaterFlag[] {
  return [flag, `${flag}-add`, `${flag}-rm`].map((name) => ({ flag: name, takesValue: true, why }));
}
