import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { Command } from 'commander';
import { declareUpdateFlags } from '../../../../cli/service/flags.ts';
import { LATER_FLAGS } from '../../../../cli/service/later-flags.ts';
import { shoal } from '../../../support/captured-shell.ts';

/** Those of `docker service update` (Docker Engine 28), detach and quiet aside. */
const DOCKER =
  `args cap-add cap-drop config-add config-rm constraint-add constraint-rm container-label-add container-label-rm credential-spec
  dns-add dns-rm dns-option-add dns-option-rm dns-search-add dns-search-rm endpoint-mode entrypoint env-add env-rm force generic-resource-add
  generic-resource-rm group-add group-rm health-cmd health-interval health-retries health-start-interval health-start-period health-timeout
  host-add host-rm hostname image init isolation label-add label-rm limit-cpu limit-memory limit-pids log-driver log-opt max-concurrent
  mount-add mount-rm network-add network-rm no-healthcheck no-resolve-image oom-score-adj placement-pref-add placement-pref-rm publish-add
  publish-rm read-only replicas replicas-max-per-node reserve-cpu reserve-memory restart-condition restart-delay restart-max-attempts
  restart-window rollback rollback-delay rollback-failure-action rollback-max-failure-ratio rollback-monitor rollback-order
  rollback-parallelism secret-add secret-rm stop-grace-period stop-signal sysctl-add sysctl-rm tty ulimit-add ulimit-rm update-delay
  update-failure-action update-max-failure-ratio update-monitor update-order update-parallelism user with-registry-auth workdir`.split(
    /\s+/,
  );

describe('service update', () => {
  it('knows every flag of Docker', () => {
    const command = new Command();
    declareUpdateFlags(command);
    const known = new Set(command.options.map(({ long }) => long));
    assert.deepEqual(
      DOCKER.filter((flag) => !known.has(`--${flag}`)),
      [],
    );
  });

  for (const { flag, takesValue } of LATER_FLAGS.filter((later) => DOCKER.includes(later.flag))) {
    it(`refuses --${flag} by name`, async () => {
      const value = takesValue ? ['x'] : [];
      const { exitCode, stderr } = await shoal(['service', 'create', `--${flag}`, ...value, 'nginx'], { manager: '127.0.0.1:1' });
      assert.equal(exitCode, 2);
      assert.match(stderr, new RegExp(`--${flag}: is not there yet: .+`));
    });
  }
});
