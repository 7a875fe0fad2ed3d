import assert from 'node:assert/strict';
import { shoal } from '../../../support/captured-shell.ts';

describe('the command line', () => {
  it('shows its commands in groups, and nothing hidden', async () => {
    const { exitCode, stdout, stderr } = await shoal(['--help']);
    assert.equal(exitCode, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /^Commands:\n {2}service +Manage services\n {2}node /m);
    assert.doesNotMatch(stdout, /__complete/);
  });

  it('shows help where nothing is asked for', async () => {
    assert.equal((await shoal([])).stdout, (await shoal(['--help'])).stdout);
    assert.equal((await shoal(['service'])).stdout, (await shoal(['service', '--help'])).stdout);
    assert.equal((await shoal(['help', 'service', 'create'])).stdout, (await shoal(['service', 'create', '--help'])).stdout);
  });

  it('shows the flags that come later in no help', async () => {
    assert.doesNotMatch((await shoal(['service', 'create', '--help'])).stdout, /--network|--secret/);
  });

  const mistakes: readonly (readonly [args: string, stderr: RegExp])[] = [
    ['servce', /^shoal: unknown command "servce" \(did you mean service\?\)/],
    ['service lss', /unknown command "lss" \(did you mean ls\?\); `shoal service --help`/],
    ['help servce', /unknown command "servce"/],
    [
      'service ls --fromat x --quite',
      /\n {2}--fromat: unknown flag \(did you mean --format\?\)\n {2}--quite: unknown flag \(did you mean --quiet\?\)\n$/,
    ],
    [
      'service create --nosuch --replicas 2 -q --alsono nginx sh -c x',
      /lists what there is:\n {2}--nosuch: unknown flag\n {2}--alsono: unknown flag\n$/,
    ],
    [
      'service create --bogus -p x --replicas y --timeout 5 --if-version 7 nginx',
      /lists what there is:\n {2}--bogus: unknown flag\n {2}--timeout: "5" .*\n {2}--if-version: "7" .*\n(?: {2}--(?:publish: "x"|replicas: "y") .*\n){2}$/,
    ],
    [
      'service update --replicas x --verify y --canary z --if-version w --bogus web',
      /lists what there is:\n {2}--bogus: unknown flag\n {2}--replicas: "x" .*\n {2}--if-version: "w" .*\n {2}--verify: "y" .*\n {2}--canary: "z" .*\n$/,
    ],
    ['service update --log-opt a=b --schedule @daily --bogus web', /lists what there is:\n {2}--bogus: unknown flag\n$/],
    ['service ls --host 1.2.3.4:1', /--host: unknown flag here: put it before "service"/],
    ['service create', /missing required argument 'IMAGE'; see `shoal service create --help`/],
    ['service ps', /missing required argument 'SERVICE'/],
    ['service update web --image', /argument missing; see `shoal service update --help`/],
    ['service ls extra', /too many arguments.* got 1; see/],
    ['--nonsense service ls', /unknown option '--nonsense'/],
    ['service ls --filter name', /\n {2}--filter: "name" is not KEY=VALUE/],
    ['service create -p x -p 70000:80 nginx', /\n {2}--publish: "x" is not .*\n {2}--publish: port 70000 is not between 1 and 65535\n$/],
    ['service create --detach=false --read-only=maybe nginx', /--read-only/],
    ['service scale web', /\n {2}web: is not SERVICE=REPLICAS/],
    ['service scale web=x api=-1 web=1 web=2', /\n {2}web=x: .*\n {2}api=-1: .*\n {2}web=1: web is named twice\n {2}web=2: /],
    ['service logs --tail some web', /--tail: "some" is neither/],
    ['service logs --since soon web', /--since: "soon" is neither a time/],
    ['service create --timeout 5 nginx', /--timeout: "5" is not a duration/],
    ['events --since 1h --until 2h', /--until: "2h" is before --since/],
    ['node update --availability away host1', /--availability: "away" is not one of active, pause, drain/],
    ['completion tcsh', /"tcsh" is not one of bash, zsh, fish/],
    ['--host nowhere:x service ls', /--host: "nowhere:x" is not HOST:PORT/],
  ];
  for (const [args, stderr] of mistakes) {
    it(`refuses: shoal ${args}`, async () => {
      const result = await shoal(args.split(' '));
      assert.match(result.stderr, stderr);
      assert.equal(result.exitCode, 2);
      assert.equal(result.stdout, '');
    });
  }

  it('says what comes later instead of calling it unknown', async () => {
    const { stderr, exitCode } = await shoal(['service', 'create', '--network', 'front', 'nginx']);
    assert.match(stderr, /--network: is not there yet: networks come with a later version/);
    assert.equal(exitCode, 2);
  });

  it('says that nobody answers, with a way out, and exits with 5', async () => {
    const { stderr, exitCode } = await shoal(['--host', '127.0.0.1:1', 'service', 'ls']);
    assert.match(stderr, /^shoal: no manager answers at 127\.0\.0\.1:1 \(connection refused\); start one with/);
    assert.equal(exitCode, 5);
  });
});
