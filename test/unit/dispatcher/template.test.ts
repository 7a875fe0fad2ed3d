import assert from 'node:assert/strict';
import { expandTaskSpec, expandTemplate, type TemplateContext, templateProblem } from '../../../manager/dispatcher/template.ts';
import { ContainerSpec, Mount, MountType, TaskSpec } from '../../../proto/index.ts';

const context: TemplateContext = {
  service: { id: 'svc1', name: 'web', labels: { tier: 'front', 'com.example.team': 'blue' } },
  node: { id: 'node1', hostname: 'host-a', arch: 'x86_64', os: 'linux' },
  task: { id: 'task1', name: 'web.3', slot: '3' },
};

describe('templates', () => {
  it('fill in what is known of service, node and task', () => {
    const all =
      '{{.Service.ID}} {{.Service.Name}} {{.Service.Labels.tier}} {{.Node.ID}} {{.Node.Hostname}} {{.Node.Platform.Architecture}} {{.Node.Platform.OS}} {{.Task.ID}} {{.Task.Name}} {{.Task.Slot}}';
    assert.equal(expandTemplate(all, context), 'svc1 web front node1 host-a x86_64 linux task1 web.3 3');
  });

  it('take spaces, trim markers and index', () => {
    assert.equal(expandTemplate('a-{{ .Task.Slot }}-b', context), 'a-3-b');
    assert.equal(expandTemplate('a  {{- .Task.Slot -}}  b', context), 'a3b');
    assert.equal(expandTemplate('{{index .Service.Labels "com.example.team"}}', context), 'blue');
    assert.equal(expandTemplate('[{{index .Service.Labels "none"}}]', context), '[]');
  });

  it('leave text without placeholders alone, braces of the user included', () => {
    for (const text of ['', 'plain', '}} {a}', '$1 {x}']) assert.equal(expandTemplate(text, context), text);
  });

  it('are refused with the reason where they cannot be filled in', () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['{{env "X"}}', /env is for secrets and configs/],
      ['{{.Task.Nope}}', /unknown; there are .*\.Task\.Slot/],
      ['{{constructor}}', /unknown/],
      ['{{.Service.Labels.absent}}', /no label absent/],
      ['{{.Service.Labels.com.example.team}}', /index \.Service\.Labels "com\.example\.team"/],
      ['{{.Service.Labels.constructor}}', /no label constructor/],
      ['{{.Task.Slot', /without its \}\}/],
      ['{{.Task.Slot}} {{', /without its \}\}/],
    ];
    for (const [text, reason] of cases) {
      assert.throws(() => expandTemplate(text, context), { name: 'ShoalError', code: 'invalid_argument', message: reason });
      assert.match(templateProblem(text, context.service.labels) ?? '', reason);
    }
    assert.equal(templateProblem('{{.Service.Labels.tier}}', { tier: 'x' }), undefined);
  });

  it('are filled in where they are allowed: env, hostname and mount sources', () => {
    const spec = TaskSpec.create({
      container: ContainerSpec.create({
        image: '{{.Task.Slot}}',
        hostname: '{{.Service.Name}}-{{.Task.Slot}}',
        env: ['SLOT={{.Task.Slot}}', 'PLAIN=1'],
        mounts: [
          Mount.create({ type: MountType.VOLUME, source: 'data-{{.Task.Slot}}', target: '/data' }),
          Mount.create({ type: MountType.TMPFS, source: '{{x}}', target: '/tmp' }),
        ],
      }),
    });
    const container = expandTaskSpec(spec, context).container;
    assert.ok(container);
    assert.equal(container.hostname, 'web-3');
    assert.deepEqual(container.env, ['SLOT=3', 'PLAIN=1']);
    assert.deepEqual(
      container.mounts.map((mount) => mount.source),
      ['data-3', '{{x}}'],
    );
    assert.equal(container.image, '{{.Task.Slot}}');
  });
});
