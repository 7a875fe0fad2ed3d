import assert from 'node:assert/strict';
import { parseTemplate, type TemplateValues } from '../../../manager/template/template.ts';

const VALUES: TemplateValues = {
  service: { id: 's1', name: 'web', labels: { tier: 'front', 'com.example/zone': 'a' } },
  node: { id: 'n1', hostname: 'alpha', os: 'linux', architecture: 'x86_64' },
  task: { id: 't1', name: 'web.3', slot: '3' },
};

function expand(text: string): string {
  const result = parseTemplate(text);
  if (!result.ok) assert.fail(result.reason);
  return result.expand(VALUES);
}

function reasonOf(text: string): string {
  const result = parseTemplate(text);
  if (result.ok) assert.fail(`"${text}" was taken`);
  return result.reason;
}

describe('templates', () => {
  it('leave text without placeholders as it is', () => {
    assert.equal(expand('a } b { c'), 'a } b { c');
    assert.equal(expand(''), '');
  });

  it('fill in every placeholder, with or without blanks', () => {
    assert.equal(expand('{{.Service.Name}}-{{ .Task.Slot }}@{{.Node.Hostname}}'), 'web-3@alpha');
    assert.equal(
      expand('{{.Service.ID}} {{.Node.ID}} {{.Task.ID}} {{.Task.Name}} {{.Node.Platform.OS}}/{{.Node.Platform.Architecture}}'),
      's1 n1 t1 web.3 linux/x86_64',
    );
  });

  it('read labels by name and by index; a missing one is empty', () => {
    assert.equal(expand('{{.Service.Labels.tier}}'), 'front');
    assert.equal(expand('{{index .Service.Labels "com.example/zone"}}'), 'a');
    assert.equal(expand('[{{.Service.Labels.none}}]'), '[]');
    assert.equal(expand('[{{.Service.Labels.toString}}]'), '[]');
  });

  it('refuse what is not closed or not known, and name what is', () => {
    assert.match(reasonOf('x{{.Task.Slot'), /never closed/);
    assert.match(reasonOf('{{.Task.Nmae}}'), /\{\{\.Task\.Nmae\}\} is not a known placeholder; known are: .*\.Task\.Name/);
    assert.match(reasonOf('{{toString}}'), /not a known placeholder/);
    assert.match(reasonOf('{{}}'), /not a known placeholder/);
  });
});
